"""Spectral contrast of two views of a batch, and the gap of a plain view to their mean.

Han et al., 2023 (https://arxiv.org/abs/2206.00471), and its published code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.normalize import l2_normalize


def spectral_contrast(one: Tensor, other: Tensor, temperature: float, negatives: float = 1.0) -> Tensor:
    """Compute -2 mean s of equal rows + `negatives` · mean s² of all others; s = cosine / T. [B, D], [B, D] -> [].

    The others are pairs of different rows, of one view or both. B is 2 or more.

    >>> from selfdistill.functional import spectral_contrast
    >>> spectral_contrast(torch.eye(2), torch.eye(2), temperature=0.5)
    tensor(-4.)
    """
    rows, count = l2_normalize(torch.cat([one, other])), len(one)
    similar = rows @ rows.T / temperature
    strangers = ~torch.eye(count, dtype=torch.bool, device=rows.device).repeat(2, 2)
    repulsion = (similar.square() * strangers).sum() / (4 * count * (count - 1))
    return negatives * repulsion - 2 * similar.diagonal(count).mean()


def gap_to_mean(rows: Tensor, one: Tensor, other: Tensor, normalize: bool = False) -> Tensor:
    """Compute the mean squared difference of rows to the mean of two views' rows. [B, D], [B, D], [B, D] -> [].

    `normalize` scales the rows and the means to L2 norm 1. No gradient reaches the views.

    >>> from selfdistill.functional import gap_to_mean
    >>> gap_to_mean(torch.zeros(1, 2), torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    tensor(1.)
    """
    target = (one.detach() + other.detach()) / 2
    return F.mse_loss(l2_normalize(rows), l2_normalize(target)) if normalize else F.mse_loss(rows, target)
