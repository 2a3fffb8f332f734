"""Dropout of the embedding in front of a linear classifier."""

from torch import Tensor


def dropout_logits(logits: Tensor, embedding: Tensor, weight: Tensor, keep: Tensor, rate: float) -> Tensor:
    """Compute the logits after dropout of the embedding from those before. [B, C], [B, D], [C, D], [B, D] -> [B, C].

    `keep` is 1 for an entry that is kept and divided by 1 - rate, 0 for one that is dropped.

    >>> import torch
    >>> from selfdistill.functional import dropout_logits
    >>> dropout_logits(torch.tensor([[3.0]]), torch.ones(1, 3), torch.ones(1, 3), torch.tensor([[1.0, 0.0, 0.0]]), 0.5)
    tensor([[2.]])
    """
    return logits + (embedding * (keep / (1 - rate) - 1)) @ weight.T
