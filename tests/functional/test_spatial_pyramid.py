import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import hcl_loss, pool_to_grid
from tests.helpers.random_features import tokens


def test_coarser_looks_weigh_half():
    one, other = tokens(0, 2, 3, 8, 8), tokens(1, 2, 3, 8, 8)
    gaps = [F.mse_loss(one, other)] + [
        F.mse_loss(*(F.adaptive_avg_pool2d(x, n) for x in (one, other))) for n in (4, 2, 1)
    ]
    assert_close(hcl_loss(one, other), (8 * gaps[0] + 4 * gaps[1] + 2 * gaps[2] + gaps[3]) / 15)
    small = [x[..., :2, :2] for x in (one, other)]
    assert_close(hcl_loss(*small), (2 * F.mse_loss(*small) + F.mse_loss(*(x.mean(dim=(2, 3)) for x in small))) / 3)


def test_volumes_are_compared_over_grids_of_three_sides():
    one, other = tokens(0, 2, 3, 2, 4, 4), tokens(1, 2, 3, 2, 4, 4)
    gaps = [F.mse_loss(one, other)] + [
        F.mse_loss(*(F.adaptive_avg_pool3d(x, size) for x in (one, other))) for size in ((2, 2, 2), (1, 1, 1))
    ]
    assert_close(hcl_loss(one, other), (4 * gaps[0] + 2 * gaps[1] + gaps[2]) / 7)
    assert pool_to_grid(one, 3).shape == (2, 3, 2, 3, 3)


def test_a_signal_is_a_volume_with_two_sides_of_one():
    one, other = tokens(0, 2, 3, 9, 1), tokens(1, 2, 3, 9, 1)
    assert_close(hcl_loss(one[..., None], other[..., None]), hcl_loss(one, other))
