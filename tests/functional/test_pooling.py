from itertools import product
from math import ceil, floor, prod

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import adaptive_avg_pool, adaptive_max_pool, resize
from tests.helpers.random_features import tokens

SIZES = [((4, 3, 5), (2, 2, 3)), ((2, 2, 2), (1, 1, 1)), ((3, 1, 4), (3, 1, 2))]


def bins(has, wanted):
    """The positions that each pooled one covers."""
    return [range(floor(i * has / wanted), ceil((i + 1) * has / wanted)) for i in range(wanted)]


def loop_pool(volume, size, reduce):
    """A pooled volume by plain loops."""
    found = torch.zeros(*volume.shape[:2], *size, dtype=torch.float64)
    sides = [bins(has, wanted) for has, wanted in zip(volume.shape[2:], size, strict=True)]
    for b, d in product(*map(range, volume.shape[:2])):
        for at in product(*map(range, size)):
            covered = [volume[b, d][place].item() for place in product(*(side[i] for side, i in zip(sides, at)))]  # noqa: B905
            found[b, d][at] = reduce(covered)
    return found


def weights(has, wanted):
    """For each resized position, the positions it lies between, and their weights."""
    for i in range(wanted):
        at = max(0.0, (i + 0.5) * has / wanted - 0.5)
        low = int(at)
        yield {low: 1 - (at - low)} if low + 1 >= has else {low: 1 - (at - low), low + 1: at - low}


def loop_resize(volume, size):
    """A trilinearly resized volume by plain loops."""
    found = torch.zeros(*volume.shape[:2], *size, dtype=torch.float64)
    sides = [list(weights(has, wanted)) for has, wanted in zip(volume.shape[2:], size, strict=True)]
    for at in product(*map(range, size)):
        between = [side[i] for side, i in zip(sides, at, strict=True)]
        whole = prod(sum(each.values()) for each in between)
        for place in product(*between):
            share = prod(each[k] for each, k in zip(between, place, strict=True)) / whole
            found[(..., *at)] += share * volume[(..., *place)]
    return found


@pytest.mark.parametrize(("has", "wanted"), SIZES)
def test_volumes_are_pooled_as_plain_loops_do(has, wanted):
    volume = tokens(0, 2, 3, *has)
    assert_close(adaptive_avg_pool(volume, wanted), loop_pool(volume, wanted, lambda each: sum(each) / len(each)))
    assert_close(adaptive_max_pool(volume, wanted), loop_pool(volume, wanted, max))


@pytest.mark.parametrize(("has", "wanted"), [*SIZES, ((2, 3, 1), (5, 2, 2))])
def test_volumes_are_resized_as_a_plain_loop_does(has, wanted):
    volume = tokens(0, 2, 3, *has)
    assert_close(resize(volume, wanted), loop_resize(volume, wanted))


@pytest.mark.parametrize("change", [adaptive_avg_pool, adaptive_max_pool, resize])
def test_a_signal_is_a_volume_with_two_sides_of_one(change):
    signal = tokens(0, 2, 3, 9, 1)
    assert_close(change(signal[..., None], (4, 1, 1)), change(signal, (4, 1))[..., None])


def test_maps_are_changed_as_pytorch_does():
    maps = torch.randn(2, 3, 7, 5)
    assert torch.equal(adaptive_avg_pool(maps, (3, 2)), F.adaptive_avg_pool2d(maps, (3, 2)))
    assert torch.equal(adaptive_max_pool(maps, (3, 2)), F.adaptive_max_pool2d(maps, (3, 2)))
    assert torch.equal(resize(maps, (3, 9)), F.interpolate(maps, (3, 9), mode="bilinear", align_corners=False))
