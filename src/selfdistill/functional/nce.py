"""Noise-contrastive estimation: one positive against many random negatives.

Tian et al., 2020 (https://arxiv.org/abs/1910.10699), and its published code.
"""

import math

import torch.nn.functional as F
from torch import Tensor

EPS = 1e-7  # as published; beside a probability


def nce_loss(log_x: Tensor, share: float) -> Tensor:
    """Compute the mean NCE loss of the first column against K negatives. [B, 1 + K] -> [].

    `log_x` holds log(exp(score) / Z); `share` is K / N, the expected number of draws of one example.

    >>> import torch
    >>> from selfdistill.functional import nce_loss
    >>> nce_loss(torch.zeros(1, 2), share=1.0)
    tensor(1.3863)
    """
    odds = log_x - math.log(share + EPS)
    others = F.logsigmoid(-odds[:, 1:]) + math.log(share / (share + EPS))
    return -(F.logsigmoid(odds[:, 0]) + others.sum(dim=1)).mean()


def log_normalizer(scores: Tensor, images: int) -> Tensor:
    """Compute log Z = log(N · mean exp(score)), N the number of training examples. [B, K] -> [].

    >>> import torch
    >>> from selfdistill.functional import log_normalizer
    >>> log_normalizer(torch.zeros(2, 3), images=10)
    tensor(2.3026)
    """
    return scores.logsumexp(dim=(0, 1)) - math.log(scores.numel() / images)
