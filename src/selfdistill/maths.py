"""The maths of self-distillation: pure functions of tensors, without state or modules."""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.errors import UserError

FAINT = 1e-8  # below this size a row counts as zeros rather than as a direction


def kl(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
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
    return kl_to(student, softened(teacher, temperature).detach(), temperature)


def kl_to(student: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Like `kl`, towards probabilities already softened at this temperature. [B, C], [B, C] -> [].

    A target that has a gradient keeps it.
    """
    log_p = F.log_softmax(student / temperature, dim=1)
    return F.kl_div(log_p, target, reduction="batchmean") * temperature**2


def softened(logits: Tensor, temperature: float) -> Tensor:
    """Probabilities at a temperature. [B, C] -> [B, C]."""
    return (logits / temperature).softmax(dim=1)


def ranked(logits: Tensor) -> Tensor:
    """Each row in ascending order: the shape of a prediction, whatever its class. [B, C] -> [B, C]."""
    return logits.sort(dim=1).values


def attention(features: Tensor, power: float = 2.0) -> Tensor:
    """Where a feature is strong: the sum over channels of |f|^power.

    Maps [B, D, H, W] -> [B, H·W]; tokens [B, N, D] -> [B, N].
    """
    strength = features.square() if power == 2.0 else features.abs().pow(power)
    return strength.sum(dim=1).flatten(1) if features.dim() == 4 else strength.sum(dim=2)


def similarity(rows: Tensor) -> Tensor:
    """Cosine of every pair of rows. [B, D] -> [B, B].

    A row of zeros is like no other and passes a bounded gradient: lengths are bounded below, by
    FAINT times the root of D at most, before they divide.
    """
    scale = rows.detach().abs().amax(dim=1, keepdim=True).clamp_min(FAINT)
    scaled = rows / scale  # so that the squares of huge rows stay finite in float32
    unit = scaled * scaled.square().sum(dim=1, keepdim=True).clamp_min(1.0).rsqrt()
    return unit @ unit.T


def class_sums(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Sum of features and number of rows of each class. [B, D], [B] -> [C, D], [C, 1]."""
    members = F.one_hot(labels, classes).to(features.dtype).T  # [C, B]
    return members @ features, members.sum(dim=1, keepdim=True)


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1 along the last dimension; those below FAINT become zeros and pass no gradient. -> same shape."""
    scaled = spread(rows)
    return scaled * scaled.square().sum(dim=-1, keepdim=True).clamp_min(1.0).rsqrt()


def spread(rows: Tensor) -> Tensor:
    """Each row over its largest entry, so that its powers neither overflow nor vanish. -> same shape."""
    largest = rows.detach().abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > FAINT, rows / largest.clamp_min(FAINT), 0.0)


def same_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two features as maps [B, D, H, W] of one size: the larger is averaged down, side by side."""
    one, other = alike(student, teacher)
    sides = min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3])
    return F.adaptive_avg_pool2d(one, sides), F.adaptive_avg_pool2d(other, sides)


def alike(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two features as maps; both of one column where one is tokens and the other a map."""
    one, other = as_maps(student), as_maps(teacher)
    if student.dim() == teacher.dim():
        return one, other
    return one.flatten(2).unsqueeze(3), other.flatten(2).unsqueeze(3)


def as_maps(features: Tensor) -> Tensor:
    """Maps as they are; tokens [B, N, D] as maps of one column [B, D, N, 1]."""
    return features.transpose(1, 2).unsqueeze(3) if features.dim() == 3 else features
