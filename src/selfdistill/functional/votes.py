"""Votes of an example's positions or tokens for its class."""

from collections.abc import Callable

from torch import Tensor

from selfdistill.functional.padding import present
from selfdistill.functional.pooling import resize


def position_votes(features: Tensor, classify: Callable[[Tensor], Tensor]) -> Tensor:
    """Count, for each class, the positions where it has the largest logit. [B, D, *sides] or [B, N, D] -> [B, C].

    Maps are enlarged twofold first; a token that is present has one vote. `classify` maps [B, P, D] to [B, P, C].
    Liang et al., 2022 (https://arxiv.org/abs/2207.12980).

    >>> import torch
    >>> from selfdistill.functional import position_votes
    >>> position_votes(torch.eye(2).repeat(1, 2, 1), torch.nn.Identity())
    tensor([[2., 2.]])
    """
    rows = features if features.dim() == 3 else _enlarged(features).flatten(2).transpose(1, 2)
    logits = classify(rows)
    votes = present(features).to(logits.dtype)[..., 0] if features.dim() == 3 else logits.new_ones(rows.shape[:2])
    return votes.new_zeros(len(votes), logits.shape[2]).scatter_add(1, logits.argmax(dim=2), votes)


def _enlarged(maps: Tensor) -> Tensor:
    return resize(maps, [2 * side for side in maps.shape[2:]])
