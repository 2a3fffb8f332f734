"""Noise-contrastive estimation: telling one row from many drawn at random."""

import math

import torch.nn.functional as F
from torch import Tensor

EPS = 1e-7  # as published; beside a probability


def nce_loss(log_x: Tensor, share: float) -> Tensor:
    """Mean loss of telling the first column from the others, which are so likely. [B, 1 + K] -> []."""
    odds = log_x - math.log(share + EPS)
    others = F.logsigmoid(-odds[:, 1:]) + math.log(share / (share + EPS))
    return -(F.logsigmoid(odds[:, 0]) + others.sum(dim=1)).mean()


def log_normaliser(scores: Tensor, images: int) -> Tensor:
    """Log of the mean exponential of scores, times so many images: what divides each score's own. [B, K] -> []."""
    return scores.logsumexp(dim=(0, 1)) - math.log(scores.numel() / images)
