"""Contrast of two sets of scores by class, and weights of rows by their difficulty.

Ding et al., 2025 (https://arxiv.org/abs/2410.14143), and their published code.
"""

import torch
from torch import Tensor

from selfdistill.functional.divergence import softmax_with_temperature, weighted_log
from selfdistill.functional.normalize import l2_normalize

BASE_TEMPERATURE = 0.07  # as published; the loss is multiplied by temperature / BASE_TEMPERATURE
EPS = 1e-7  # as published; beside a sum of exponentials of which the largest may be left out


def preview_weights(losses: Tensor, limit: Tensor | float) -> Tensor:
    """Compute 1 where r, a loss over the mean, is `limit` at most, else exp(-r²), with a gradient. [B] -> [B].

    >>> from selfdistill.functional import preview_weights
    >>> preview_weights(torch.tensor([0.0, 1.0, 2.0]), limit=1.5)
    tensor([1.0000, 1.0000, 0.0183])
    """
    ratios = losses / losses.mean()
    return torch.where(ratios <= limit, 1.0, (-ratios.square()).exp())


def weighted_kl(student: Tensor, teacher: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Compute the mean of each row's weight times T² KL(teacher || student). [B, C], [B, C], [B] -> [].

    >>> from selfdistill.functional import weighted_kl
    >>> weighted_kl(torch.eye(2), torch.eye(2).flip(0), torch.tensor([1.0, 0.0]), temperature=1.0)
    tensor(0.2311)
    """
    target, log_p = softmax_with_temperature(teacher.detach(), temperature), (student / temperature).log_softmax(dim=1)
    rows = weighted_log(target, target.log()) - weighted_log(target, log_p)
    return temperature**2 * (weights * rows.sum(dim=1)).mean()


def category_contrast(one: Tensor, other: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Contrast rows of one class with all other rows of both sets; a row's loss sums its two. [R, K] twice, [R] -> [R].

    Each row's loss is the mean over rows of its class of the negative logarithm of their share. Products are not
    normalized. A row is of its own class in the other set.

    >>> from selfdistill.functional import category_contrast
    >>> category_contrast(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]), temperature=0.07).abs() < 1e-6
    tensor([True])
    """
    rows, labels = torch.cat([one, other]), labels.repeat(2)
    scores = rows @ rows.T / temperature
    scores = scores - scores.detach().amax(dim=1, keepdim=True)
    apart = 1 - torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
    same = (labels[:, None] == labels) * apart
    log_p = scores - ((scores.exp() * apart).sum(dim=1, keepdim=True) + EPS).log()
    losses = -(same * log_p).sum(dim=1) / same.sum(dim=1)
    return temperature / BASE_TEMPERATURE * losses.view(2, -1).sum(dim=0)


def direction_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the mean squared distance of rows of L2 norm 1, without gradient to the teacher. [R, D] twice -> [].

    >>> from selfdistill.functional import direction_gap
    >>> direction_gap(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    tensor(2.)
    """
    return 2 - 2 * (l2_normalize(student) * l2_normalize(teacher.detach())).sum(dim=1).mean()
