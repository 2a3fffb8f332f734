"""How far a student's predictions are from a teacher's: scalars, means over rows, without gradient to the teacher."""

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional.normalize import correlation, drop_label_column, standardize
from selfdistill.functional.ranking import top_ranked_mask


def kl_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Temperature-scaled KL(teacher || student) of two sets of logits. [B, C], [B, C] -> [].

    Sum over classes, mean over rows, times temperature² so that its gradient keeps the scale of
    cross-entropy's (Hinton et al., 2015, https://arxiv.org/abs/1503.02531). No gradient reaches
    the teacher. Raises `UserError` where the shapes differ.
    """
    if student.shape != teacher.shape:
        raise UserError(
            f"kl compares predictions row by row, but the student gave {tuple(student.shape)} and the "
            f"teacher {tuple(teacher.shape)}; a loader with drop_last=True keeps batches equal"
        )
    return kl_to_probabilities(student, softmax_with_temperature(teacher, temperature).detach(), temperature)


def kl_to_probabilities(student: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Like `kl_divergence`, towards probabilities already softened at this temperature. [B, C], [B, C] -> [].

    A target that has a gradient keeps it.
    """
    log_p = F.log_softmax(student / temperature, dim=1)
    return F.kl_div(log_p, target, reduction="batchmean") * temperature**2


def kl_where(keep: Tensor, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Like `kl_divergence`, the mean over those rows that are kept. [B], [B, C], [B, C] -> []."""
    log_p = F.log_softmax(student / temperature, dim=1)
    rows = F.kl_div(log_p, softmax_with_temperature(teacher, temperature).detach(), reduction="none").sum(dim=1)
    return temperature**2 * (rows * keep).sum() / keep.sum().clamp_min(1)


def kl_top_ranked(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, share: float) -> Tensor:
    """Like `kl_divergence`, over the rows that `top_ranked_mask` keeps. [B, C] twice, [B] -> []."""
    return kl_where(top_ranked_mask(teacher, labels, share), student, teacher, temperature)


def mutual_kl(students: Sequence[Tensor], teachers: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """The sum over students of the mean `kl_divergence` from all teachers but their own. n of [B, C] twice -> []."""
    pairs = permutations(range(len(students)), 2)
    each = [kl_divergence(students[k], teachers[j], temperature) for k, j in pairs]
    return sum(each[1:], start=each[0]) / (len(students) - 1)


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy with the teacher's probabilities, both softened, without temperature². [B, C], [B, C] -> []."""
    return F.cross_entropy(student / temperature, softmax_with_temperature(teacher.detach(), temperature))


def softmax_with_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Probabilities at a temperature. [B, C] -> [B, C]."""
    return (logits / temperature).softmax(dim=1)


def logit_standardization_kd(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T² KL of logits that have mean 0 and deviation 1 in each row. [B, C], [B, C] -> [].

    Sun et al., 2024 (https://arxiv.org/abs/2403.01427).
    """
    return kl_divergence(standardize(student), standardize(teacher), temperature)


def dkd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, true: float = 1.0, others: float = 1.0
) -> Tensor:
    """T² KL of the true class against the rest, and T² KL among the rest, each with a weight. [B, C] twice, [B] -> [].

    Zhao et al., 2022 (https://arxiv.org/abs/2203.08679).
    """
    sides = kl_divergence(
        against_rest(student, labels, temperature), against_rest(teacher, labels, temperature), temperature
    )
    rest = kl_divergence(drop_label_column(student, labels), drop_label_column(teacher, labels), temperature)
    return true * sides + others * rest


def dist_loss(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, between: float = 1.0, within: float = 1.0
) -> Tensor:
    """T² (1 - correlation) of probabilities: of each row, and of each class over the batch. [B, C], [B, C] -> [].

    Huang et al., 2022 (https://arxiv.org/abs/2205.10536).
    """
    p, q = softmax_with_temperature(student, temperature), softmax_with_temperature(teacher, temperature).detach()
    rows, columns = correlation(p, q), correlation(p.T, q.T)
    return temperature**2 * (between * (1 - rows.mean()) + within * (1 - columns.mean()))


def nkd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, true: float = 1.0, others: float = 1.0
) -> Tensor:
    """Cross-entropy of the true class by the teacher's share, and T² that of the rest. [B, C] twice, [B] -> [].

    Yang et al., 2023 (https://arxiv.org/abs/2303.13005).
    """
    own = labels[:, None]
    right = teacher.detach().softmax(dim=1).gather(1, own) * F.log_softmax(student, dim=1).gather(1, own)
    told = softmax_with_temperature(drop_label_column(teacher, labels), temperature).detach()
    rest = told * F.log_softmax(drop_label_column(student, labels) / temperature, dim=1)
    return -true * right.mean() - others * temperature**2 * rest.sum(dim=1).mean()


def against_rest(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Logits of the true class and of all others taken as one, at this temperature. [B, C], [B] -> [B, 2]."""
    rest = temperature * torch.logsumexp(drop_label_column(logits, labels) / temperature, dim=1, keepdim=True)
    return torch.cat([logits.gather(1, labels[:, None]), rest], dim=1)
