from itertools import product

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from selfdistill.heads.pyramid import Pyramid, WeightedFusion, downsample_like, upsample_like
from tests.helpers.random_features import copy_to_volumes, tokens

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def published_order(net):
    """The pyramid's parameters in the order of the reference."""
    for name in ("enter", "enter_again", "widen", "narrow", "fuse_up", "fuse_down", "classify"):
        yield from getattr(net, name).parameters()


def projections(values, seed):
    """Scalar products with 16 seeded vectors, which stand for the whole tensor."""
    draws = torch.from_numpy(np.random.RandomState(seed).randn(16, values.numel()))
    return draws @ values.detach().flatten()


def test_the_pyramid_is_the_published_network(reference, float64):
    want = reference("frskd_bifpnc") | reference("frskd_bifpnc_probes")
    net = Pyramid([2, 3, 4, 5], classes=6)
    sizes = [each.numel() for each in published_order(net)]
    for each, values in zip(published_order(net), want["parameters"].split(sizes), strict=True):
        each.data.copy_(values.view_as(each))
    maps = [want[f"x_{k}"].requires_grad_() for k in range(4)]
    refined, logits = net(maps)
    probed = [(each * want[f"probe_feat_{k}"]).sum() for k, each in enumerate(refined)]
    ((logits * want["probe_out"]).sum() + sum(probed)).backward()
    assert_close(logits.detach(), want["out_logits"], **EXACT)
    for k in range(4):
        assert_close(refined[k].detach().flatten()[::8], want[f"feat_{k}_every_8th"], **EXACT)
        assert_close(projections(refined[k], k), want[f"feat_{k}_projections"], **EXACT)
        assert_close(projections(maps[k].grad, k), want[f"grad_x_{k}_projections"], **EXACT)


def test_fusion_starts_as_the_mean_of_rectified_maps():
    fusion, maps = WeightedFusion(2, 3, 1), torch.randn(2, 4, 3, 5, 5)
    want = fusion.convolve((maps[0].relu() + maps[1].relu()) / 2)
    assert_close(fusion(*maps), want, rtol=1e-3, atol=1e-4)


SIZES = [[(9, 7), (5, 4), (2, 2)], [(8, 8), (8, 8), (8, 8)], [(7, 7), (1, 1)], [(4, 4), (6, 6)]]


@pytest.mark.parametrize("sizes", SIZES)
def test_maps_of_any_sizes_fit(sizes):
    widths = [4, 6, 8][: len(sizes)]
    maps = [torch.randn(3, width, *size, requires_grad=True) for width, size in zip(widths, sizes, strict=True)]
    refined, logits = Pyramid(widths, classes=5)(maps)
    assert [each.shape for each in refined] == [
        (3, 2 * width, *size) for width, size in zip(widths, sizes, strict=True)
    ]
    logits.sum().backward()
    assert logits.shape == (3, 5)
    assert all(each.grad is not None for each in maps)


def test_halves_are_reduced_over_three_positions_and_other_sizes_by_parts():
    row = torch.tensor([1.0, 2.0, 9.0, 0.0]).expand(1, 1, 4, 4)
    assert downsample_like(row, torch.zeros(1, 1, 2, 2))[0, 0, 0].tolist() == [9.0, 9.0]
    assert downsample_like(row, torch.zeros(1, 1, 1, 1)).item() == 9.0
    assert torch.equal(downsample_like(row, row), row)
    assert upsample_like(row[..., :2, :2], row)[0, 0, 0].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_volumes_of_any_sizes_fit():
    maps = [
        torch.randn(3, width, *size, requires_grad=True)
        for width, size in ((4, (5, 9, 7)), (6, (3, 4, 4)), (8, (1, 2, 2)))
    ]
    refined, logits = Pyramid([4, 6, 8], classes=5, ndim=5)(maps)
    assert [each.shape for each in refined] == [(3, 8, 5, 9, 7), (3, 12, 3, 4, 4), (3, 16, 1, 2, 2)]
    logits.sum().backward()
    assert all(each.grad is not None for each in maps)


def test_tokens_and_a_vector_beside_a_volume():
    features = [torch.randn(3, 4, 2, 4, 4), torch.randn(3, 9, 6), torch.randn(3, 8)]
    refined, logits = Pyramid([4, 6, 8], classes=5, ndim=5)(features)
    assert [each.shape[2:] for each in refined] == [(2, 4, 4), (9, 1, 1), (1, 1, 1)]
    assert logits.shape == (3, 5)


def test_a_signal_is_a_volume_with_two_sides_of_one(float64):
    maps = [tokens(0, 6, 4, 9, 1), tokens(1, 6, 5, 4, 1)]
    net = Pyramid([4, 5], classes=3)
    volumes = copy_to_volumes(net, Pyramid([4, 5], classes=3, ndim=5))
    (want, logits), (found, others) = net(maps), volumes([each[..., None] for each in maps])
    assert_close(others, logits)
    for one, other in zip(found, want, strict=True):
        assert_close(one, other[..., None])


def test_halves_of_volumes_are_reduced_over_three_positions():
    volume = tokens(0, 1, 2, 4, 4, 2)
    found = downsample_like(volume, torch.zeros(1, 1, 2, 2, 1))
    for d, t, h in product(range(2), repeat=3):
        covered = volume[0, d, 2 * t : 2 * t + 3, 2 * h : 2 * h + 3, :]
        assert found[0, d, t, h, 0] == covered.max().clamp_min(0)  # the padding behind the last side
    assert downsample_like(volume, torch.zeros(1, 1, 1, 3, 2)).shape == (1, 2, 1, 3, 2)
