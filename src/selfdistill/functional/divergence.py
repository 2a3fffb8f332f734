"""Divergences between student and teacher predictions: scalar losses, averaged over rows.

No gradient reaches the teacher, except through the target of `kl_to_probabilities`.
"""

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional.normalize import correlation, drop_label_column, standardize
from selfdistill.functional.ranking import top_ranked_mask
from selfdistill.functional.summation import sum_tensors


def kl_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the temperature-scaled KL(teacher || student) of two sets of logits. [B, C], [B, C] -> [].

    Sum over classes, mean over rows, times temperature² so that the gradient keeps the scale of
    cross-entropy's (Hinton et al., 2015, https://arxiv.org/abs/1503.02531). No gradient reaches
    the teacher. Raises `UserError` where the shapes differ.

    >>> from selfdistill.functional import kl_divergence
    >>> kl_divergence(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), temperature=2.0)
    tensor(1.8485)
    """
    if student.shape != teacher.shape:
        raise UserError(
            f"kl compares predictions row by row, but the student gave {tuple(student.shape)} and the "
            f"teacher {tuple(teacher.shape)}; a loader with drop_last=True keeps batches equal"
        )
    return kl_to_probabilities(student, softmax_with_temperature(teacher, temperature).detach(), temperature)


def kl_to_probabilities(student: Tensor, target: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Compute `kl_divergence` to target probabilities softened at the same temperature. [B, C], [B, C] -> [].

    A target with a gradient keeps it.

    >>> from selfdistill.functional import kl_to_probabilities
    >>> kl_to_probabilities(torch.zeros(1, 2), torch.tensor([[0.9, 0.1]]))
    tensor(0.3681)
    """
    target, log_p = _without_zeros(target, F.log_softmax(student / temperature, dim=1))
    return F.kl_div(log_p, target, reduction="batchmean") * temperature**2


def kl_through_teacher(
    student: Tensor, teacher: Tensor, temperature: float | Tensor = 1.0, epsilon: float = 0.0
) -> Tensor:
    """Compute `kl_divergence` with a gradient to the teacher's logits as well, and to T. [B, C], [B, C] -> [].

    `epsilon` is added to the teacher's probabilities, to keep their gradient finite where they vanish.

    >>> from selfdistill.functional import kl_through_teacher
    >>> kl_through_teacher(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), temperature=2.0)
    tensor(1.8485)
    """
    return kl_to_probabilities(student, softmax_with_temperature(teacher, temperature) + epsilon, temperature)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute KL(student || teacher) without gradient to the teacher. [B, C], [B, C] -> [].

    >>> from selfdistill.functional import reverse_kl
    >>> reverse_kl(torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2))
    tensor(0.3278)
    """
    own, other = student.log_softmax(dim=1), teacher.detach().log_softmax(dim=1)
    return weighted_log(own.exp(), own - other).sum(dim=1).mean()


def masked_kl(keep: Tensor, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute `kl_divergence` averaged over the rows that a boolean mask keeps. [B], [B, C], [B, C] -> [].

    The loss is zero where the mask keeps no row.

    >>> from selfdistill.functional import masked_kl
    >>> masked_kl(torch.tensor([True, False]), torch.eye(2), torch.eye(2).flip(0))
    tensor(0.4621)
    """
    target = softmax_with_temperature(teacher, temperature).detach()
    target, log_p = _without_zeros(target, F.log_softmax(student / temperature, dim=1))
    rows = F.kl_div(log_p, target, reduction="none").sum(dim=1)
    return temperature**2 * (rows * keep).sum() / keep.sum().clamp_min(1)


def kl_top_ranked(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, share: float) -> Tensor:
    """Compute `kl_divergence` over the rows that `top_ranked_mask` keeps. [B, C], [B, C], [B] -> [].

    Xu et al., 2020 (https://arxiv.org/abs/2006.07114).

    >>> from selfdistill.functional import kl_top_ranked
    >>> kl_top_ranked(torch.zeros(2, 2), torch.eye(2), torch.tensor([0, 0]), temperature=1.0, share=0.0)
    tensor(0.1109)
    """
    return masked_kl(top_ranked_mask(teacher, labels, share), student, teacher, temperature)


def mutual_kl(students: Sequence[Tensor], teachers: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """Sum, over n students, the mean `kl_divergence` from the n - 1 teachers of another index. n of [B, C] twice -> [].

    Zhang et al., 2018 (https://arxiv.org/abs/1706.00384), for more than two networks.

    >>> from selfdistill.functional import mutual_kl
    >>> logits = torch.eye(2).split(1)
    >>> mutual_kl(logits, logits)
    tensor(0.9242)
    """
    pairs = permutations(range(len(students)), 2)
    return sum_tensors(kl_divergence(students[k], teachers[j], temperature) for k, j in pairs) / (len(students) - 1)


def ensemble_kl(students: Sequence[Tensor], ensemble: Tensor, teachers: Sequence[Tensor], temperature: float) -> Tensor:
    """Sum `kl_divergence` from an ensemble to each student, plus `mutual_kl` from the teachers. n of [B, C] each -> [].

    Wu and Gong, 2021 (https://arxiv.org/abs/2006.04147).

    >>> from selfdistill.functional import ensemble_kl
    >>> ensemble_kl(torch.eye(2).split(1), torch.zeros(1, 2), torch.eye(2).split(1), temperature=1.0)
    tensor(1.1645)
    """
    from_others = mutual_kl(students, teachers, temperature)
    return sum_tensors(kl_divergence(each, ensemble, temperature) for each in students) + from_others


def mixup_consistency(
    mixes: Sequence[Tensor], mixture: Sequence[Tensor], fused: tuple[Tensor, Tensor], temperature: float
) -> Tensor:
    """Sum T² KL of each branch both ways, and of the last logits from the two fusions, crosswise. [B, C] each -> [].

    `mixes` are mixed outputs for clean images, `mixture` outputs for mixed images, branches first.
    Yang et al., 2022 (https://arxiv.org/abs/2208.05768).

    >>> from selfdistill.functional import mixup_consistency
    >>> one, other = torch.eye(2).split(1)
    >>> mixup_consistency([one], [other], (one, one), temperature=1.0)
    tensor(0.4621)
    """
    both = sum(mutual_kl(pair, pair, temperature) for pair in zip(mixes[:-1], mixture[:-1], strict=True))
    cross = kl_divergence(mixes[-1], fused[1], temperature) + kl_divergence(mixture[-1], fused[0], temperature)
    return both + cross


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the cross-entropy with softened teacher probabilities, without temperature². [B, C], [B, C] -> [].

    >>> from selfdistill.functional import soft_cross_entropy
    >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]), temperature=2.0)
    tensor(0.6931)
    """
    target = softmax_with_temperature(teacher.detach(), temperature)
    return -weighted_log(target, F.log_softmax(student / temperature, dim=1)).sum(dim=1).mean()


def clipped_probabilities(logits: Tensor, least: float = 1e-4) -> Tensor:
    """Compute the softmax, clipped to [least, 1 - least] without gradient outside. [B, C] -> [B, C].

    >>> from selfdistill.functional import clipped_probabilities
    >>> clipped_probabilities(torch.tensor([[100.0, 0.0]]), least=0.25)
    tensor([[0.7500, 0.2500]])
    """
    return logits.softmax(dim=1).clamp(least, 1 - least)


def early_learning_loss(probabilities: Tensor, mean: Tensor) -> Tensor:
    """Compute the mean over rows of log(1 - <t, p>), t the running mean of p. [B, C], [B, C] -> [].

    Liu et al., 2020 (https://arxiv.org/abs/2007.00151).

    >>> from selfdistill.functional import early_learning_loss
    >>> early_learning_loss(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.5, 0.5]]))
    tensor(-0.6931)
    """
    return torch.log1p(-(probabilities * mean).sum(dim=1)).mean()


def softmax_with_temperature(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """Compute softmax(logits / temperature) over classes. [B, C] -> [B, C].

    >>> from selfdistill.functional import softmax_with_temperature
    >>> softmax_with_temperature(torch.tensor([[4.0, 0.0]]), temperature=4.0)
    tensor([[0.7311, 0.2689]])
    """
    return (logits / temperature).softmax(dim=1)


def weighted_log(weights: Tensor, logs: Tensor) -> Tensor:
    """Compute weights times logarithms, 0 where a weight is 0. [B, C], [B, C] -> [B, C].

    The logarithm of a masked class is -inf, and 0 times -inf would be NaN.

    >>> from selfdistill.functional import weighted_log
    >>> weighted_log(torch.tensor([1.0, 0.0]), torch.tensor([-2.0, -torch.inf]))
    tensor([-2.,  0.])
    """
    return weights * logs.masked_fill(weights == 0, 0)


def _without_zeros(target: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Return targets and log-probabilities that are both 0, without gradient, where the target is 0. [B, C] each."""
    zero = target == 0  # 0 log 0 = 0, but 0 times -inf, the log-probability of a masked class, is NaN
    return target.masked_fill(zero, 0), log_p.masked_fill(zero, 0)


def logit_standardization_kd(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute `kl_divergence` of logits standardized in each row (mean 0, deviation 1). [B, C], [B, C] -> [].

    Sun et al., 2024 (https://arxiv.org/abs/2403.01427). The loss ignores the logits' scale:

    >>> from selfdistill.functional import logit_standardization_kd
    >>> logits = torch.tensor([[1.0, 2.0, 4.0]])
    >>> bool(logit_standardization_kd(logits, 10 * logits).abs() < 1e-6)
    True
    """
    return kl_divergence(standardize(student), standardize(teacher), temperature)


def dkd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, true: float = 1.0, others: float = 1.0
) -> Tensor:
    """Compute decoupled KD: T² KL of true class against rest, and T² KL among the rest. [B, C], [B, C], [B] -> [].

    `true` and `others` are the weights of the two parts, alpha and beta of Zhao et al., 2022
    (https://arxiv.org/abs/2203.08679).

    >>> from selfdistill.functional import dkd_loss
    >>> dkd_loss(torch.zeros(1, 3), torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0]), others=8.0)
    tensor(1.1166)
    """
    sides = kl_divergence(
        binary_logits(student, labels, temperature), binary_logits(teacher, labels, temperature), temperature
    )
    rest = kl_divergence(drop_label_column(student, labels), drop_label_column(teacher, labels), temperature)
    return true * sides + others * rest


def dist_loss(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, between: float = 1.0, within: float = 1.0
) -> Tensor:
    """Compute DIST: T² (1 - correlation) of probabilities over each row and over each class. [B, C], [B, C] -> [].

    `between` weighs the inter-class part (rows), `within` the intra-class part (columns) of
    Huang et al., 2022 (https://arxiv.org/abs/2205.10536).

    >>> from selfdistill.functional import dist_loss
    >>> dist_loss(torch.eye(3), 1 - torch.eye(3))
    tensor(4.0000)
    """
    p, q = softmax_with_temperature(student, temperature), softmax_with_temperature(teacher, temperature).detach()
    rows, columns = correlation(p, q), correlation(p.T, q.T)
    return temperature**2 * (between * (1 - rows.mean()) + within * (1 - columns.mean()))


def nkd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, true: float = 1.0, others: float = 1.0
) -> Tensor:
    """Compute normalized KD: true-class CE by the teacher's probability, T² CE of the rest. [B, C], [B, C], [B] -> [].

    `true` and `others` weigh the two parts (Yang et al., 2023, https://arxiv.org/abs/2303.13005).

    >>> from selfdistill.functional import nkd_loss
    >>> nkd_loss(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([0]))
    tensor(1.0594)
    """
    own = labels[:, None]
    right = teacher.detach().softmax(dim=1).gather(1, own) * F.log_softmax(student, dim=1).gather(1, own)
    target = softmax_with_temperature(drop_label_column(teacher, labels), temperature).detach()
    rest = weighted_log(target, F.log_softmax(drop_label_column(student, labels) / temperature, dim=1))
    return -true * right.mean() - others * temperature**2 * rest.sum(dim=1).mean()


def transformed_teacher_kl(student: Tensor, teacher: Tensor, temperature: float, weighted: bool = False) -> Tensor:
    """Compute KL(softmax(teacher / T) || softmax(student)): T softens the teacher alone. [B, C], [B, C] -> [].

    If `weighted`, a row counts by the sum over classes of p^(1/T), p the teacher's probabilities: from
    1, for a teacher that is certain, to C^(1 - 1/T). Zheng and Yang, 2024 (https://arxiv.org/abs/2402.11148).

    >>> from selfdistill.functional import transformed_teacher_kl
    >>> bool(transformed_teacher_kl(torch.tensor([[2.0, 0.0]]), torch.tensor([[4.0, 0.0]]), temperature=2.0) < 1e-6)
    True
    """
    target, log_p = softmax_with_temperature(teacher, temperature).detach(), F.log_softmax(student, dim=1)
    target, log_p = _without_zeros(target, log_p)
    rows = F.kl_div(log_p, target, reduction="none").sum(dim=1)
    powers = (teacher.detach().log_softmax(dim=1) / temperature).logsumexp(dim=1).exp()
    return (powers * rows).mean() if weighted else rows.mean()


def teacher_divergence(
    name: str,
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    temperature: float,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """Compute a divergence by name; `beta` weighs it, or with `gamma` its two parts. [B, C], [B, C], [B] -> [].

    >>> from selfdistill.functional import teacher_divergence
    >>> teacher_divergence("kl", torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([0]), 2.0)
    tensor(1.8485)
    """
    match name:
        case "dist":
            return dist_loss(student, teacher, temperature, beta, gamma)
        case "dkd":
            return dkd_loss(student, teacher, labels, temperature, beta, gamma)
        case "nkd":
            return nkd_loss(student, teacher, labels, temperature, beta, gamma)
        case "ttm" | "wttm":
            return beta * transformed_teacher_kl(student, teacher, temperature, name == "wttm")
        case "standardized":
            return beta * logit_standardization_kd(student, teacher, temperature)
    return beta * kl_divergence(student, teacher, temperature)


def binary_logits(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Merge all classes but the label's into one logit, at this temperature. [B, C], [B] -> [B, 2].

    >>> from selfdistill.functional import binary_logits
    >>> binary_logits(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0]), temperature=1.0)
    tensor([[1.0000, 0.6931]])
    """
    rest = temperature * torch.logsumexp(drop_label_column(logits, labels) / temperature, dim=1, keepdim=True)
    return torch.cat([logits.gather(1, labels[:, None]), rest], dim=1)
