"""How far a student's predictions are from a teacher's: pure functions of two sets of logits.

Each gives a scalar, a mean over rows, and no gradient to the teacher.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.maths import FAINT, kl, softened


def standardized(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T² KL of logits that have mean 0 and deviation 1 in each row. [B, C], [B, C] -> [].

    Sun et al., 2024 (https://arxiv.org/abs/2403.01427).
    """
    return kl(standard(student), standard(teacher), temperature)


def decoupled(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, true: float = 1.0, others: float = 1.0
) -> Tensor:
    """T² KL of the true class against the rest, and T² KL among the rest, each with a weight. [B, C] twice, [B] -> [].

    Zhao et al., 2022 (https://arxiv.org/abs/2203.08679).
    """
    sides = kl(against_rest(student, labels, temperature), against_rest(teacher, labels, temperature), temperature)
    rest = kl(without(student, labels), without(teacher, labels), temperature)
    return true * sides + others * rest


def correlated(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, between: float = 1.0, within: float = 1.0
) -> Tensor:
    """T² (1 - correlation) of probabilities: of each row, and of each class over the batch. [B, C], [B, C] -> [].

    Huang et al., 2022 (https://arxiv.org/abs/2205.10536).
    """
    p, q = softened(student, temperature), softened(teacher, temperature).detach()
    rows, columns = correlation(p, q), correlation(p.T, q.T)
    return temperature**2 * (between * (1 - rows.mean()) + within * (1 - columns.mean()))


def normalized(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, true: float = 1.0, others: float = 1.0
) -> Tensor:
    """Cross-entropy of the true class by the teacher's share, and T² that of the rest. [B, C] twice, [B] -> [].

    Yang et al., 2023 (https://arxiv.org/abs/2303.13005).
    """
    own = labels[:, None]
    right = teacher.detach().softmax(dim=1).gather(1, own) * F.log_softmax(student, dim=1).gather(1, own)
    told = softened(without(teacher, labels), temperature).detach()
    rest = told * F.log_softmax(without(student, labels) / temperature, dim=1)
    return -true * right.mean() - others * temperature**2 * rest.sum(dim=1).mean()


def standard(logits: Tensor) -> Tensor:
    """Rows of mean 0 and deviation 1; an even row is one of zeros, and passes no gradient. [B, C] -> [B, C]."""
    centered = logits - logits.mean(dim=1, keepdim=True)
    variance = centered.square().sum(dim=1, keepdim=True) / (logits.shape[1] - 1)
    deviation = variance.clamp_min(FAINT**2).sqrt()
    return torch.where(variance > FAINT**2, centered / (1e-7 + deviation), 0.0)


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's of each pair of rows; an even row has none with any, and no gradient. [B, D], [B, D] -> [B]."""
    one, other = (rows - rows.mean(dim=1, keepdim=True) for rows in (one, other))
    squares = one.square().sum(dim=1), other.square().sum(dim=1)
    lengths = [each.clamp_min(FAINT**2).sqrt() for each in squares]
    uneven = (squares[0] > FAINT**2) & (squares[1] > FAINT**2)
    return torch.where(uneven, (one * other).sum(dim=1) / (lengths[0] * lengths[1] + 1e-8), 0.0)


def against_rest(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Logits of the true class and of all others taken as one, at this temperature. [B, C], [B] -> [B, 2]."""
    rest = temperature * torch.logsumexp(without(logits, labels) / temperature, dim=1, keepdim=True)
    return torch.cat([logits.gather(1, labels[:, None]), rest], dim=1)


def without(rows: Tensor, labels: Tensor) -> Tensor:
    """Rows without the column of their label. [B, C], [B] -> [B, C - 1]."""
    columns = torch.arange(rows.shape[1] - 1, device=rows.device)
    return rows.gather(1, columns + (columns >= labels[:, None]).long())
