"""Random views of arrays of images."""

import pytest
import torch

from selfdistill.data import Examples, TensorLoader
from selfdistill.data.augment_recipe import augment_recipe
from selfdistill.data.examples import TensorSplits
from selfdistill.data.kinds import augmentation_for
from selfdistill.data.requirements import ExtraAugmentation, PlainView
from selfdistill.errors import UserError


def splits(channels=5, shape=(12, 16), rows=24, task="classify", low=-1000.0):
    """Arrays whose values are far from 0, such as of a scan."""
    draws = torch.Generator().manual_seed(channels)
    values = low + 300 * torch.rand(rows, channels, *shape, generator=draws)
    labels = torch.arange(rows) % 2
    examples = Examples(values, labels if task == "classify" else torch.zeros(rows, *shape, dtype=torch.int16))
    return TensorSplits(examples, None, examples, ("a", "b"), "tensors:a.npz", task)


def loader(found, augment="auto", batch_size=8, rank=0, ranks=1, needs=None, **parts):
    views = augmentation_for(found, None, augment_recipe(augment, **parts))
    return TensorLoader(found.train, batch_size, augment=views, needs=needs, rank=rank, ranks=ranks)


def batch(*args, **options):
    return next(loader(*args, **options).epoch(0))


@pytest.mark.parametrize("augment", ["auto", "none"])
def test_arrays_are_not_augmented_unasked(augment):
    found = splits()
    made = batch(found, augment)
    assert torch.equal(made.inputs, augmentation_for(found, None).normalize(found.train.inputs[made.index]))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("augment", ["cifar", "light", "imagenet"])
def test_any_channels_are_cropped_and_flipped(channels, augment):
    found = splits(channels)
    made, plain = batch(found, augment), batch(found)
    assert made.inputs.shape == (8, channels, 12, 16)
    assert torch.equal(made.index, plain.index)
    assert not torch.equal(made.inputs, plain.inputs)
    assert made.inputs.abs().max() < 3  # no value of -1000 deviations from outside


def test_flips_alone_are_flips():
    found = splits()
    made, plain = batch(found, flip=True).inputs, batch(found).inputs
    flipped = [torch.equal(one, other.flip(2)) for one, other in zip(made, plain, strict=True)]
    same = [torch.equal(one, other) for one, other in zip(made, plain, strict=True)]
    assert [a != b for a, b in zip(flipped, same, strict=True)] == [True] * 8
    assert 0 < sum(flipped) < 8


def test_outside_and_erased_values_are_the_mean():
    found = splits()
    shifted, plain = batch(found, "cifar", flip=False).inputs, batch(found).inputs
    assert set(shifted.unique().tolist()) - set(plain.unique().tolist()) == {0.0}
    erased = batch(found, erase=1.0).inputs
    assert ((erased == 0) | (erased == plain)).all()
    assert all((each == 0).any() for each in erased)


def test_ranks_and_restarts_see_the_same_views():
    found = splits()
    whole = list(loader(found, "imagenet").epoch(2))
    parts = [list(loader(found, "imagenet", rank=rank, ranks=2).epoch(2)) for rank in range(2)]
    for k, each in enumerate(whole):
        assert torch.equal(each.inputs, torch.cat([part[k].inputs for part in parts]))
    assert torch.equal(next(loader(found, "imagenet").epoch(2, start=1)).inputs, whole[1].inputs)
    assert not torch.equal(next(loader(found, "imagenet").epoch(1)).inputs, whole[0].inputs)


def test_twins_are_views_of_their_own_and_plain_ones_are_none():
    found = splits()
    twins = batch(found, "cifar", needs={"twin": ExtraAugmentation()})
    (twin,) = twins.extra.values()
    assert not torch.equal(twin, twins.inputs)
    seen = batch(found, "cifar", needs={"plain": PlainView()})
    assert torch.equal(seen.extra["plain"], batch(found).inputs)


@pytest.mark.parametrize(
    ("changes", "augment", "parts", "why"),
    [
        ({}, "cifar:randaugment", {}, r"has arrays of 5 channels, but policies and jitter .* by npz:FILE"),
        ({}, "auto", {"jitter": 0.4}, "has arrays of 5 channels, but policies and jitter"),
        ({"shape": (12,)}, "cifar", {}, r"is not one array of images \[N, C, H, W\]"),
        ({"task": "segment"}, "auto", {"flip": True}, "is not one array of images .* leave --augment at auto"),
    ],
)
def test_what_does_not_fit_is_refused(changes, augment, parts, why):
    with pytest.raises(UserError, match=why):
        loader(splits(**changes), augment, **parts)
