"""What methods ask of the data: pairs, groups, second views, the last batch, negatives."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

from selfdistill.data import Augmentation, Loader
from selfdistill.data.class_index import ClassIndex
from selfdistill.data.image_augment import ImageAugmentation
from selfdistill.data.images import Images
from selfdistill.data.requirements import (
    ClassGroups,
    ExtraAugmentation,
    Negatives,
    PlainView,
    PreviousBatch,
    SameClassImage,
    StrongView,
)
from selfdistill.data.torch_loader import loader as plain_loader
from selfdistill.errors import UserError
from selfdistill.rng import make_generator

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 2, 1, 0])
ALL = {
    "peer": SameClassImage(itself=False),
    "twin": ExtraAugmentation(2),
    "strong": StrongView(),
    "plain": PlainView(),
    "last": PreviousBatch(),
    "negatives": Negatives(3),
}
DRAWN_BY_CLASS = {key: ALL[key] for key in ("peer", "twin", "last", "negatives")}


def images(labels=LABELS, size=8):
    """Images that say which they are: every pixel holds the row."""
    rows = torch.arange(len(labels), dtype=torch.uint8)
    return Images(rows[:, None, None, None].expand(-1, 3, size, size).contiguous(), labels)


def loader(needs, labels=LABELS, batch_size=4, pad=0, **options):
    augment = Augmentation(pad, pad > 0, (0.0,) * 3, (1 / 255,) * 3)
    return Loader(images(labels), batch_size, augment=augment, needs=needs, **options)


def shown(batch_images):
    """Which rows the images are."""
    return batch_images[:, 0, 4, 4].round().long()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.integers(0, 99))
def test_peers_and_negatives_are_of_the_right_class(classes, seed):
    labels, draws = torch.tensor(classes), torch.Generator().manual_seed(seed)
    found = ClassIndex(labels)
    rows = torch.arange(len(labels))
    assert labels[found.same_class(rows, draws)].equal(labels)
    if labels.unique().numel() > 1:
        others = found.negatives(rows, 5, draws)
        assert (labels[others] != labels[:, None]).all()
    if torch.bincount(labels)[labels].min() >= 2:
        peers = found.same_class(rows, draws, include_self=False)
        assert labels[peers].equal(labels)
        assert (peers != rows).all()


def test_peers_are_uniform_over_the_class():
    draws = torch.Generator().manual_seed(0)
    found = ClassIndex(LABELS)
    mates = (LABELS == 0).nonzero().flatten()
    for itself, among in ((True, mates), (False, mates[mates != 3])):
        drawn = found.same_class(torch.full((6000,), 3), draws, itself)
        counts = torch.bincount(drawn, minlength=16)[among]
        assert counts.sum() == 6000
        assert (counts / 6000 - 1 / len(among)).abs().max() < 0.03


def test_groups_hold_distinct_rows_of_one_class_uniformly():
    draws = torch.Generator().manual_seed(0)
    found = ClassIndex(LABELS)
    groups = found.groups(torch.full((6000,), 3), 3, draws)
    assert (LABELS[groups] == 0).all()
    assert all(len(set(group)) == 4 for group in groups.tolist())
    counts = torch.bincount(groups[:, 1:].flatten(), minlength=16)[[0, 6, 9, 10, 15]]
    assert (counts / 18000 - 1 / 5).abs().max() < 0.02


def test_groups_repeat_only_where_a_class_is_too_small():
    labels = torch.tensor([0, 0, 1, 1, 1, 1])
    groups = ClassIndex(labels).groups(torch.arange(6), 3, torch.Generator().manual_seed(0))
    assert labels[groups].equal(labels[:, None].expand(-1, 4))
    assert all(len(set(group)) == 4 for group in groups[2:].tolist())


def test_negatives_repeat_only_where_there_are_too_few():
    labels = torch.tensor([0, 1, 1, 2, 2, 2])
    found = ClassIndex(labels)
    few = found.negatives(torch.arange(6), 3, torch.Generator().manual_seed(0))
    assert all(len(set(row)) == 3 for row in few.tolist())
    many = found.negatives(torch.arange(6), 40, torch.Generator().manual_seed(0))
    assert many.shape == (6, 40)
    assert (labels[many] != labels[:, None]).all()


def test_a_batch_brings_all_that_is_asked_and_says_which_rows_they_are():
    for epoch in (0, 1):
        for batch in loader(ALL).epoch(epoch):
            names = {"peer", "twin", "twin2", "strong", "plain", "last", "last_labels", "negatives"}
            assert set(batch.extra) == names
            assert shown(batch.inputs).equal(batch.index)
            assert shown(batch.extra["twin"]).equal(batch.index)
            assert shown(batch.extra["twin2"]).equal(batch.index)
            assert shown(batch.extra["plain"]).equal(batch.index)
            assert LABELS[shown(batch.extra["peer"])].equal(batch.labels)
            assert LABELS[shown(batch.extra["last"])].equal(batch.extra["last_labels"])
            assert (LABELS[batch.extra["negatives"]] != batch.labels[:, None]).all()


def test_the_last_batch_is_the_one_before_over_epochs_too():
    made = loader({"last": PreviousBatch()})
    seen = [batch for epoch in (0, 1, 2) for batch in made.epoch(epoch)]
    assert shown(seen[0].extra["last"]).equal(seen[0].index)  # at first there is none
    for before, batch in pairwise(seen):
        assert shown(batch.extra["last"]).equal(before.index)
        assert batch.extra["last_labels"].equal(before.labels)


def test_twins_and_peers_are_augmented_apart():
    labels = LABELS.repeat(8)
    noise = Images(torch.randint(0, 256, (128, 3, 8, 8), dtype=torch.uint8), labels)
    augment = Augmentation(2, True, (0.5,) * 3, (0.2,) * 3)
    batch = next(Loader(noise, 64, augment=augment, needs={"twin": ExtraAugmentation(2)}).epoch(0))
    for one, other in ((batch.inputs, batch.extra["twin"]), (batch.extra["twin"], batch.extra["twin2"])):
        same = (one == other).flatten(1).all(dim=1).float().mean()
        assert same < 0.2  # one draw of fifty is the same


def test_a_strong_view_has_a_policy_and_a_plain_one_no_draws():
    draws = torch.Generator().manual_seed(0)
    noise = Images(torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8, generator=draws), LABELS)
    needs = {"strong": StrongView(), "plain": PlainView()}

    def drawn(augment, epoch=0):
        return next(Loader(noise, 16, augment=augment, needs=needs).epoch(epoch))

    none = Augmentation(0, False, (0.5,) * 3, (0.2,) * 3)
    batch = drawn(none)
    assert batch.extra["plain"].equal(none.normalize(noise.images[batch.index]))
    assert batch.extra["plain"].equal(batch.inputs)
    randaugment = replace(none, image=ImageAugmentation(policy="randaugment"))
    params = randaugment.draw(16, make_generator(0, "strong", 0))
    assert batch.extra["strong"].equal(randaugment(noise.images[batch.index], params))
    assert not batch.extra["strong"].equal(batch.inputs)
    assert not batch.extra["strong"].equal(drawn(none, epoch=1).extra["strong"])
    own = replace(none, pad=2, image=ImageAugmentation(policy="trivialaugment", jitter=0.4))
    batch = drawn(own)
    assert batch.extra["plain"].equal(none.normalize(noise.images[batch.index]))
    assert batch.extra["strong"].equal(own(noise.images[batch.index], own.draw(16, make_generator(0, "strong", 0))))


def test_a_strong_view_of_grey_images():
    grey = Images(torch.randint(0, 256, (16, 1, 16, 16), dtype=torch.uint8), LABELS)
    made = Loader(grey, 16, augment=Augmentation(0, False, (0.5,), (0.2,)), needs={"strong": StrongView()})
    for epoch in range(8):  # most operations
        (batch,) = made.epoch(epoch)
        assert batch.extra["strong"].shape == (16, 1, 16, 16)
        assert not batch.extra["strong"].equal(batch.inputs)


def test_what_is_asked_changes_neither_order_nor_augmentation():
    for batch, more in zip(loader({}, pad=2).epoch(1), loader(ALL, pad=2).epoch(1), strict=True):
        assert batch.index.equal(more.index)
        assert batch.inputs.equal(more.inputs)


def test_an_epoch_can_be_continued_and_ranks_share_it():
    whole = list(loader(ALL, pad=1).epoch(1))
    for batch, again in zip(whole[2:], loader(ALL, pad=1).epoch(1, start=2), strict=True):
        assert all(batch.extra[name].equal(again.extra[name]) for name in batch.extra)
    halves = [list(loader(ALL, pad=1, rank=rank, ranks=2).epoch(1)) for rank in (0, 1)]
    for batch, *parts in zip(whole, *halves, strict=True):
        for name in ("peer", "twin", "twin2", "strong", "plain", "last", "last_labels"):
            assert torch.cat([part.extra[name] for part in parts]).equal(batch.extra[name]), name


def test_grouped_batches_hold_whole_groups_and_an_epoch_is_as_long():
    made = loader({"order": ClassGroups(1)})
    assert len(made) == 4
    for batch in made.epoch(0):
        assert batch.labels[::2].equal(batch.labels[1::2])
        assert (batch.index[::2] != batch.index[1::2]).all()
        assert shown(batch.inputs).equal(batch.index)
    halves = [list(loader({"order": ClassGroups(1)}, rank=rank, ranks=2).epoch(0)) for rank in (0, 1)]
    for batch, *parts in zip(made.epoch(0), *halves, strict=True):
        assert torch.cat([part.index for part in parts]).equal(batch.index)


@pytest.mark.parametrize(
    ("needs", "labels", "words"),
    [
        (
            {"peer": SameClassImage(itself=False)},
            torch.tensor([0, 0, 1, 2, 2]),
            "class 1 has 1 training image, and pairs",
        ),
        ({"order": ClassGroups(1)}, torch.tensor([0, 0, 1, 2, 2]), "class 1 has 1 training image, and pairs"),
        ({"order": ClassGroups(2)}, LABELS, "groups of 3 images do not fill a batch of 4 rows"),
        ({"negatives": Negatives(2)}, torch.zeros(6).long(), "the method needs images of other classes"),
    ],
)
def test_what_cannot_be_brought_is_said_before_the_first_step(needs, labels, words):
    with pytest.raises(UserError, match=words):
        loader(needs, labels)


def dataset():
    """A data set for a plain loop, whose images say which they are."""
    rows = torch.arange(16.0)
    return TensorDataset(rows[:, None, None, None].expand(-1, 3, 8, 8), LABELS)


def test_a_plain_loop_gets_them_too():
    asks = SimpleNamespace(mixing=None, needs=DRAWN_BY_CLASS)
    made = plain_loader(dataset(), asks, 4)
    seen = [batch for _ in range(2) for batch in made]
    assert len(seen) == 8
    for before, batch in zip([seen[0], *seen], seen, strict=False):
        assert shown(batch.inputs).equal(batch.index)
        assert shown(batch.extra["twin"]).equal(batch.index)
        peers = shown(batch.extra["peer"])
        assert LABELS[peers].equal(batch.labels)
        assert (peers != batch.index).all()
        assert shown(batch.extra["last"]).equal(before.index)
        assert batch.extra["last_labels"].equal(before.labels)
        assert (LABELS[batch.extra["negatives"]] != batch.labels[:, None]).all()


def test_a_plain_loop_gets_groups():
    asks = SimpleNamespace(mixing=None, needs={"order": ClassGroups(1)})
    for batch in plain_loader(dataset(), asks, 4):
        assert batch.labels[::2].equal(batch.labels[1::2])
        assert (batch.index[::2] != batch.index[1::2]).all()
    with pytest.raises(UserError, match="groups of 2 images do not fill a batch of 5 rows"):
        plain_loader(dataset(), asks, 5)


def test_labels_are_found_without_reading_images_where_a_data_set_has_them():
    class Lazy(TensorDataset):
        targets = LABELS.tolist()

        def __getitem__(self, row):
            raise AssertionError("no image is needed yet")

    asks = SimpleNamespace(mixing=None, needs={"peer": SameClassImage()})
    assert len(plain_loader(Lazy(*dataset().tensors), asks, 4)) == 4
