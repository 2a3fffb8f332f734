"""Multi-level logit distillation: rows, classes and the batch, weighted (CVPR 2023)."""

import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.divergence import softmax_with_temperature


def at_most_median(values: Tensor) -> Tensor:
    """Return 1 for values up to their median, 0 above. [N] -> [N].

    >>> from selfdistill.functional import at_most_median
    >>> at_most_median(torch.tensor([1.0, 4.0, 2.0, 3.0]))
    tensor([1., 0., 1., 0.])
    """
    return (values <= values.quantile(0.5)).to(values.dtype)


def multi_level_kd(student: Tensor, teacher: Tensor, rows: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Sum T² KL over rows and the squared gaps of class and batch correlations. [B, C], [B, C], [B], [C] -> [].

    `rows` and `classes` weigh rows of the B x B and C x C matrices. Jin et al., 2023
    (https://doi.org/10.1109/CVPR52729.2023.02325). No gradient reaches the teacher.

    >>> from selfdistill.functional import multi_level_kd
    >>> bool(multi_level_kd(torch.eye(2), torch.eye(2), torch.ones(2), torch.ones(2), temperature=4.0) < 1e-5)
    True
    """
    log_p = F.log_softmax(student / temperature, dim=1)
    p, q = log_p.exp(), softmax_with_temperature(teacher, temperature).detach()
    far = temperature**2 * (rows * F.kl_div(log_p, q, reduction="none").sum(dim=1)).mean()
    between = (classes * (q.T @ q - p.T @ p).square().sum(dim=1)).mean()
    within = (rows * (q @ q.T - p @ p.T).square().sum(dim=1)).mean()
    return far + between + within
