import re
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import (
    BatchSampler,
    IterableDataset,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
)
from torch.utils.data.distributed import DistributedSampler

from selfdistill.data import Images, loader
from selfdistill.data.mixing import Mixing
from selfdistill.data.requirements import ClassGroups, Negatives, PlainView, SameClassImage, StrongView
from selfdistill.errors import UserError

PLAIN, MIXED = SimpleNamespace(mixing=None, needs={}), SimpleNamespace(mixing=Mixing(clean=True), needs={})


def dataset(count=11):
    draws = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(count, 3, 4, 4, generator=draws), torch.arange(count))


def test_batches_hold_what_their_index_says():
    made = loader(dataset(), PLAIN, 4)
    assert len(made) == len(list(made)) == 2
    for batch in made:
        assert batch.inputs.equal(dataset().tensors[0][batch.index])
        assert batch.labels.equal(batch.index)
        assert batch.mix is None


def test_each_pass_has_an_order_of_its_own_that_the_seed_decides():
    def passes(seed):
        made = loader(dataset(), PLAIN, 4, drop_last=False, seed=seed)
        return [torch.cat([batch.index for batch in made]).tolist() for _ in range(2)]

    first, second = passes(0)
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert passes(0) == [first, second] != passes(1)


def test_it_mixes_as_the_method_asks_and_changes_no_order():
    for batch, mixed in zip(loader(dataset(), PLAIN, 4), loader(dataset(), MIXED, 4), strict=True):
        assert mixed.index.equal(batch.index)
        assert mixed.extra["clean"].equal(batch.inputs)
        shares, partners, _ = mixed.mix
        assert_close(mixed.inputs, torch.einsum("bn,bnchw->bchw", shares, batch.inputs[partners]))


def test_order_without_shuffling_and_with_a_sampler():
    for options in ({"shuffle": False}, {"sampler": SequentialSampler(dataset())}):
        made = loader(dataset(), PLAIN, 4, drop_last=False, **options)
        assert torch.cat([batch.index for batch in made]).tolist() == list(range(11))


def test_the_only_batch_is_kept_though_it_is_short():
    assert [len(batch.labels) for batch in loader(dataset(3), PLAIN, 4)] == [3]


def test_images_that_no_model_can_read_are_refused():
    pixels = Images(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(UserError, match=r"item 0 of the data set holds an image of kind torch.uint8, but a float"):
        next(iter(loader(pixels, PLAIN, 2, shuffle=False)))
    with pytest.raises(UserError, match=r"of kind str, but a float tensor.*transform"):
        next(iter(loader([("picture", 1)], PLAIN, 1)))


def test_a_stream_has_no_rows():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from dataset()

    with pytest.raises(UserError, match=r"Stream has no length or rows; pass a map-style data set"):
        loader(Stream(), PLAIN, 2)


class Unsized(Sampler):
    def __iter__(self):
        yield from (torch.tensor(row) for row in (3, 0, 2))


def test_a_sampler_shorter_than_a_batch_gives_one_short_batch():
    for sampler in (SubsetRandomSampler(range(3)), DistributedSampler(dataset(), num_replicas=4, rank=3)):
        made = loader(dataset(), PLAIN, 4, sampler=sampler)
        assert [len(batch.labels) for batch in made] == [3]
        assert len(made) == 1
    assert [batch.index.tolist() for batch in loader(dataset(), PLAIN, 4, sampler=Unsized())] == [[3, 0, 2]]


def test_only_the_last_short_batch_is_dropped():
    for rows, sizes in ((range(4), [4]), (range(9), [4, 4]), (range(3), [3])):
        made = loader(dataset(), PLAIN, 4, sampler=SubsetRandomSampler(rows))
        assert [len(batch.labels) for batch in made] == sizes
        assert len(made) == len(sizes)
    kept = loader(dataset(), PLAIN, 4, sampler=SubsetRandomSampler(range(9)), drop_last=False)
    assert [len(batch.labels) for batch in kept] == [4, 4, 1]


def test_groups_of_a_short_batch_are_whole():
    groups = SimpleNamespace(mixing=None, needs={"order": ClassGroups(others=1)})
    items = TensorDataset(dataset(8).tensors[0], torch.arange(8) % 2)
    for rows, size in ((1, 2), (3, 2), (5, 4)):
        (batch,) = loader(items, groups, 8, sampler=SubsetRandomSampler(range(rows)))
        assert batch.labels.view(-1, 2).diff().eq(0).all()
        assert len(batch.labels) == size


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        (
            dataset(),
            {"sampler": SubsetRandomSampler([])},
            "the sampler returns no rows, so an epoch would train nothing",
        ),
        (dataset(), {"sampler": BatchSampler(range(8), 4, True)}, r"gives \[0, 1, 2, 3\], a list, .* by batch_size"),
        (dataset(), {"sampler": [0.5]}, r"the sampler gives 0.5, a float, but a whole number for each row"),
        (dataset(0), {}, "TensorDataset has no items; pass a data set with at least one"),
        (dataset(), {"batch_size": 0}, "a batch needs 1 row or more, but batch_size is 0"),
    ],
)
def test_an_epoch_without_batches_is_refused(items, options, message):
    with pytest.raises(UserError, match=message):
        list(loader(items, PLAIN, **{"batch_size": 4} | options))


class Items:
    """Items of three classes; `targets` are given."""

    def __init__(self, of_items, **attributes):
        self.of_items = of_items
        vars(self).update(attributes)

    def __len__(self):
        return len(self.of_items)

    def __getitem__(self, row):
        return torch.full((3, 2, 2), float(row)), self.of_items[row]


def peers(items):
    """Rows of peers by row, over three epochs."""
    spec = SimpleNamespace(mixing=None, needs={"peer": SameClassImage(itself=False)})
    made = loader(items, spec, 3, drop_last=False)
    batches = [batch for _ in range(3) for batch in made]
    return [
        pair
        for batch in batches
        for pair in zip(batch.index.tolist(), batch.extra["peer"][:, 0, 0, 0].long().tolist(), strict=True)
    ]


LABELS = [0, 1, 2, 2, 1, 0]


def test_peers_have_the_class_of_their_row_by_the_items_labels():
    flipped = [2 - each for each in LABELS]
    for items in (
        Items(LABELS),
        Items(LABELS, targets=LABELS),
        Items(LABELS, labels=torch.tensor(LABELS, dtype=torch.float32)),
        Items(LABELS, targets=flipped, target_transform=lambda label: 2 - label),
        Items(LABELS, targets=LABELS[:3]),  # of another data set
        Items(LABELS, targets=[f"class {each}" for each in LABELS]),
        Items(LABELS, targets=torch.eye(3)[LABELS]),
    ):
        assert all(LABELS[row] == LABELS[peer] and row != peer for row, peer in peers(items))


def test_targets_that_differ_from_the_items_are_refused_at_the_first_batch():
    for wrong in ([0, 0, 1, 1, 2, 2], [1, 2, 0, 0, 2, 1]):
        with pytest.raises(
            UserError, match=r"item \d of the data set has the label \d, but pairs .* drawn by \d.*`targets`"
        ):
            peers(Items(LABELS, targets=wrong))
    for need in ({"order": ClassGroups(others=1)}, {"negatives": Negatives(2)}):
        spec = SimpleNamespace(mixing=None, needs=need)
        with pytest.raises(UserError, match=r"has the label"):
            next(iter(loader(Items(LABELS, targets=[0, 0, 1, 1, 2, 2]), spec, 6)))


STRONG = SimpleNamespace(mixing=None, needs={"strong": StrongView(), "plain": PlainView()})


@pytest.mark.parametrize("workers", [0, 2])
def test_a_view_is_the_same_images_with_another_transform(workers):
    images, labels = dataset().tensors
    views = {"strong": TensorDataset(-images, labels), "plain": TensorDataset(images / 2, labels)}
    for batch in loader(dataset(), STRONG, 4, views=views, num_workers=workers):
        assert batch.inputs.equal(images[batch.index])
        assert batch.extra["strong"].equal(-batch.inputs)
        assert batch.extra["plain"].equal(batch.inputs / 2)


def test_a_view_that_is_missing_or_of_other_images_is_refused():
    images, labels = dataset().tensors
    words = (
        "the method reads `plain`, each image without random augmentation, which a data set with one transform does "
        "not give; pass sd.loader(…, views={'plain': the same data set with that transform})"
    )
    with pytest.raises(UserError, match=re.escape(words)):
        loader(dataset(), STRONG, 4, views={"strong": dataset()})
    with pytest.raises(UserError, match=r"views\['strong'\] has 5 items and the data set 11; pass the same images"):
        loader(dataset(), STRONG, 4, views={"strong": dataset(5), "plain": dataset()})
    turned = TensorDataset(images, labels.flip(0))
    with pytest.raises(UserError, match=r"item 0 has the label 0 in the data set, but 10 in views\['strong'\]"):
        next(iter(loader(dataset(), STRONG, 4, views={"strong": turned, "plain": dataset()}, shuffle=False)))
    with pytest.raises(UserError, match="a view is one of strong, plain, but views has 'weak'"):
        loader(dataset(), PLAIN, 4, views={"weak": dataset()})
    with pytest.raises(UserError, match="list has no items"):
        loader(dataset(), STRONG, 4, views={"strong": [], "plain": dataset()})


def test_views_that_a_method_does_not_read_change_nothing():
    pairs = zip(loader(dataset(), PLAIN, 4), loader(dataset(), PLAIN, 4, views={"strong": dataset()}), strict=True)
    for batch, same in pairs:
        assert same.index.equal(batch.index)
        assert not same.extra
