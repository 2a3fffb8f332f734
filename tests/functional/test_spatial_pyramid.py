import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import hcl_loss
from tests.helpers.random_features import tokens


def test_coarser_looks_weigh_half():
    one, other = tokens(0, 2, 3, 8, 8), tokens(1, 2, 3, 8, 8)
    gaps = [F.mse_loss(one, other)] + [
        F.mse_loss(*(F.adaptive_avg_pool2d(x, n) for x in (one, other))) for n in (4, 2, 1)
    ]
    assert_close(hcl_loss(one, other), (8 * gaps[0] + 4 * gaps[1] + 2 * gaps[2] + gaps[3]) / 15)
    small = [x[..., :2, :2] for x in (one, other)]
    assert_close(hcl_loss(*small), (2 * F.mse_loss(*small) + F.mse_loss(*(x.mean(dim=(2, 3)) for x in small))) / 3)
