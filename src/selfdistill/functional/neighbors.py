"""Neighbors of a position: those of its image with alike features (https://doi.org/10.3390/s22072623)."""

import torch
from torch import Tensor

from selfdistill.functional.normalize import l2_normalize


def neighbor_shares(features: Tensor, known: Tensor, temperature: float) -> Tensor:
    """Compute each position's softmax of cosines over the other known positions. [B, P, D], [B, P] -> [B, P, P].

    Rows of unknown positions, and of one without any other, are zeros.

    >>> import torch
    >>> from selfdistill.functional import neighbor_shares
    >>> neighbor_shares(torch.eye(3)[None], torch.tensor([[True, True, False]]), temperature=0.1)[0]
    tensor([[0., 1., 0.],
            [1., 0., 0.],
            [0., 0., 0.]])
    """
    directions = l2_normalize(features)
    others = known[:, None] & known[:, :, None] & ~torch.eye(known.shape[1], dtype=torch.bool, device=known.device)
    cosines = (directions @ directions.transpose(1, 2)) / temperature
    return cosines.masked_fill(~others, torch.finfo(cosines.dtype).min).softmax(dim=2) * others


def soft_label_of_neighbors(logits: Tensor, features: Tensor, known: Tensor, temperature: float) -> Tensor:
    """Compute the cross-entropy with the mean prediction of alike positions. [B, C, P], [B, D, P], [B, P] -> [].

    A mean over positions with neighbors; no gradient reaches the target. Park et al., 2022
    (https://doi.org/10.3390/s22072623).

    >>> import torch
    >>> from selfdistill.functional import soft_label_of_neighbors
    >>> soft_label_of_neighbors(torch.zeros(1, 2, 3), torch.eye(3)[None], torch.ones(1, 3, dtype=torch.bool), 0.1)
    tensor(0.6931)
    """
    log_p = logits.transpose(1, 2).log_softmax(dim=2)
    shares = neighbor_shares(features.transpose(1, 2), known, temperature)
    target = (shares @ log_p.exp()).detach()
    return -(target * log_p).sum() / (shares.sum(dim=2) > 0).sum().clamp_min(1)
