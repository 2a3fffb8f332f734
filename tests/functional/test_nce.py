import math

import torch
from torch.testing import assert_close

from selfdistill.functional import nce_loss


def test_contrast_is_the_plain_loop():
    x = torch.tensor([[0.9, 0.2, 0.1], [0.3, 2.0, 0.4]], dtype=torch.float64)
    c, eps, want = 2 / 7, 1e-7, 0.0
    for own, *others in x.tolist():
        want -= math.log(own / (own + c + eps)) / 2
        want -= sum(math.log(c / (each + c + eps)) for each in others) / 2
    assert_close(nce_loss(x.log(), c).item(), want, rtol=1e-12, atol=0)
