"""Ranks of classes and of rows by their predictions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.normalize import drop_label_column

TINY = 1e-6


def sort_logits(logits: Tensor) -> Tensor:
    """Sort each row of logits in ascending order. [B, C] -> [B, C].

    >>> import torch
    >>> from selfdistill.functional import sort_logits
    >>> sort_logits(torch.tensor([[2.0, -1.0, 1.0]]))
    tensor([[-1.,  1.,  2.]])
    """
    return logits.sort(dim=1).values


def joint_ranks(final: Tensor, weak: Tensor, labels: Tensor, logs: bool) -> Tensor:
    """Rank classes from 1 (most likely) by the summed scores of two heads. [B, C], [B, C], [B] -> [B, C].

    `final` and `weak` are logits; `logs` scores the final head by log-probabilities, as published
    code does. Yang et al., 2023 (https://arxiv.org/abs/2303.13005).

    >>> import torch
    >>> from selfdistill.functional import joint_ranks
    >>> joint_ranks(torch.tensor([[3.0, 1.0, 2.0]]), torch.zeros(1, 3), torch.tensor([0]), logs=False)
    tensor([[1., 3., 2.]])
    """
    own = F.log_softmax(final, dim=1) if logs else final.softmax(dim=1)
    score = divide_by_rest(weak.softmax(dim=1), labels) + divide_by_rest(own, labels)
    order = score.argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).to(final.dtype) + 1


def shared_ranks(scores: Tensor) -> Tensor:
    """Rank each row's entries, the largest first; equal entries share their best rank. [B, C] -> [B, C].

    >>> import torch
    >>> from selfdistill.functional import shared_ranks
    >>> shared_ranks(torch.tensor([[3.0, 0.0, 5.0, 3.0]]))
    tensor([[2., 4., 1., 2.]])
    """
    ascending = scores.sort(dim=1).values
    at_most = torch.searchsorted(ascending, scores.contiguous(), right=True)  # entries that are not larger
    return (1 + scores.shape[1] - at_most).to(scores.dtype)


def zipf_weights(ranks: Tensor, labels: Tensor) -> Tensor:
    """Compute Zipf's law over the ranks of all classes but the label's; rows sum to 1. [B, C], [B] -> [B, C - 1].

    >>> import torch
    >>> from selfdistill.functional import zipf_weights
    >>> zipf_weights(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([0]))
    tensor([[0.6667, 0.3333]])
    """
    shares = drop_label_column(1.0 / ranks, labels)
    return shares / shares.sum(dim=1, keepdim=True)


def divide_by_rest(scores: Tensor, labels: Tensor) -> Tensor:
    """Divide scores by one minus the label's score. [B, C], [B] -> [B, C].

    >>> import torch
    >>> from selfdistill.functional import divide_by_rest
    >>> divide_by_rest(torch.tensor([[0.5, 0.4, 0.1]]), torch.tensor([0]))
    tensor([[1.0000, 0.8000, 0.2000]])
    """
    return scores / (1 - scores.gather(1, labels[:, None]) + TINY)


def top_ranked_mask(teacher: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mask the correct rows and this share of the wrong ones, best label rank first. [N, C], [N] -> [N] bool.

    Xu et al., 2020 (https://arxiv.org/abs/2006.07114).

    >>> import torch
    >>> from selfdistill.functional import top_ranked_mask
    >>> top_ranked_mask(torch.tensor([[3.0, 2.0, 1.0]]).repeat(3, 1), torch.tensor([0, 1, 2]), share=0.5)
    tensor([ True,  True, False])
    """
    rank = (teacher > teacher.gather(1, labels[:, None])).sum(dim=1)
    right = (rank == 0).sum()
    place = rank.argsort(stable=True).argsort()
    return place < right + ((len(rank) - right) * share).floor()
