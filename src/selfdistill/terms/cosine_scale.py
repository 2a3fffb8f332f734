"""Scales of cosine logits (AdaCos, https://arxiv.org/abs/1905.00292)."""

import math

from torch import Tensor

from selfdistill import distributed


def fixed_scale(classes: int) -> float:
    """Return AdaCos's fixed scale, √2 log(C - 1)."""
    return math.sqrt(2) * math.log(classes - 1)


def adapted_scale(scale: Tensor, cosine: Tensor, labels: Tensor) -> Tensor:
    """Return log(B_avg) / cos(min(π/4, median θ_y)) over the rows of all ranks. [], [B, C], [B] -> []."""
    own = labels[:, None]
    others, true = (scale * cosine).exp().scatter(1, own, 0.0).sum(dim=1), cosine.gather(1, own)[:, 0]
    median = -(-distributed.all_gather(true)).median()  # the upper of two middle cosines, the lower angle
    return distributed.all_gather(others).mean().log() / median.clamp_min(math.sqrt(0.5))  # cos(π/4) = √½
