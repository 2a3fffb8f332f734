"""Order, augmentation and mixing: seeded, apart from one another, shared out among ranks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from selfdistill import data
from selfdistill.data.augment import Augmentation, crop, mirror
from selfdistill.data.split import held_out, stratified
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from selfdistill.mixing import Mixing

SPLITS = data.load("fake:classes=4,size=8,train=50,test=10")
AUGMENT = data.usual(SPLITS)


def loader(**options):
    return data.Loader(SPLITS.train, options.pop("batch_size", 16), augment=AUGMENT, **options)


def test_every_method_sees_the_same_batches_at_one_seed():
    plain = list(loader(seed=3).epoch(2))
    for make in REGISTRY.values():
        mixing = make().mixing
        if mixing is not None:
            mixing = Mixing(mixing.alpha, mixing.per, mixing.images, clean=True)
        for one, other in zip(plain, loader(seed=3, mixing=mixing).epoch(2), strict=True):
            assert torch.equal(one.index, other.index)
            assert torch.equal(one.labels, other.labels)
            assert torch.equal(one.images, other.extra["clean"] if mixing else other.images)


def test_epochs_and_seeds_differ_and_repeat():
    def order(seed, epoch):
        return torch.cat([each.index for each in loader(seed=seed).epoch(epoch)]).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert len(set(order(0, 0))) == 48


def test_an_epoch_can_be_taken_up_in_the_middle():
    mixing = Mixing()
    whole = list(loader(mixing=mixing).epoch(1))
    rest = list(loader(mixing=mixing).epoch(1, start=2))
    assert len(rest) == 1
    assert torch.equal(rest[0].images, whole[2].images)


def test_ranks_share_out_one_batch():
    whole = list(loader().epoch(0))
    ranks = [list(loader(rank=rank, ranks=2).epoch(0)) for rank in range(2)]
    for step, batch in enumerate(whole):
        assert torch.equal(batch.images, torch.cat([rank[step].images for rank in ranks]))
        assert torch.equal(batch.index, torch.cat([rank[step].index for rank in ranks]))


def test_the_last_short_batch():
    assert [len(each.labels) for each in loader().epoch(0)] == [16, 16, 16]
    assert [len(each.labels) for each in loader(drop_last=False).epoch(0)] == [16, 16, 16, 2]
    few = list(loader(batch_size=64).epoch(0))
    assert [len(each.labels) for each in few] == [50]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"batch_size": 0}, "a batch of 0 cannot be shared out"),
        ({"batch_size": 15, "ranks": 2}, "a batch of 15 cannot be shared out evenly among 2"),
        ({"batch_size": 64, "ranks": 64}, "50 training images are fewer than the 64 processes"),
    ],
)
def test_impossible_batches(options, answer):
    with pytest.raises(UserError, match=answer):
        loader(**options)


def test_normalised_images_have_mean_zero_and_deviation_one():
    images = torch.cat([each.images for each in data.batches(SPLITS.train, 7, AUGMENT)])
    assert images.shape == (50, 3, 8, 8)
    assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    assert_close(images.std(dim=(0, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-4)


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(5, 9))
@settings(max_examples=30, deadline=None)
def test_a_crop_is_a_window_of_the_padded_image(seed, pad, size):
    draws = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 256, (3, 3, size, size), generator=draws, dtype=torch.uint8)
    drawn = Augmentation(pad, True, (0.0,) * 3, (1.0,) * 3).draw(3, draws)
    cut = crop(images, drawn.top, drawn.left, pad)
    padded = torch.nn.functional.pad(images, (pad,) * 4)
    for row, (top, left) in enumerate(zip(drawn.top.tolist(), drawn.left.tolist(), strict=True)):
        assert 0 <= top <= 2 * pad
        assert torch.equal(cut[row], padded[row, :, top : top + size, left : left + size])


def test_crops_and_mirrors_are_drawn_evenly():
    drawn = Augmentation(4, True, (0.0,) * 3, (1.0,) * 3).draw(9000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn.top, minlength=9)
    assert counts.min() > 850
    assert counts.max() < 1150
    assert abs(drawn.mirrored.float().mean() - 0.5) < 0.02
    assert not Augmentation(4, False, (0.0,) * 3, (1.0,) * 3).draw(99, torch.Generator()).mirrored.any()


def test_mirror():
    images = torch.arange(2 * 3 * 2 * 2).view(2, 3, 2, 2)
    shown = mirror(images, torch.tensor([True, False]))
    assert torch.equal(shown[0], images[0].flip(2))
    assert torch.equal(shown[1], images[1])


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8), st.integers(0, 100), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_a_stratified_few_keep_the_shares(sizes, extra, seed):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    count = min(len(sizes) + extra, len(labels))
    rows = stratified(labels, count, seed)
    assert len(rows) == len(set(rows.tolist())) == count
    kept = torch.bincount(labels[rows], minlength=len(sizes))
    assert kept.min() >= 1
    exact = torch.tensor(sizes).double() * count / len(labels)
    if (exact >= 1).all():
        assert ((kept - exact).abs() < 1).all()


def test_held_out_rows_are_apart_and_by_seed():
    labels = torch.arange(100) % 5
    kept, held = held_out(labels, 0.2, seed=1)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(100))
    assert torch.bincount(labels[held]).tolist() == [4] * 5
    assert not torch.equal(held, held_out(labels, 0.2, seed=2)[1])


@pytest.mark.parametrize(
    ("limit", "validation", "answer"),
    [(3, 0.0, "3 images cannot hold one of each of 4"), (None, 1.5, "must lie between 0 and 1")],
)
def test_impossible_splits(limit, validation, answer):
    with pytest.raises(UserError, match=answer):
        data.load("fake:classes=4", limit=limit, validation=validation)


def test_validation_is_cut_from_the_training_images():
    splits = data.load("fake:classes=4", validation=0.25, seed=1)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (192, 64, 64)
