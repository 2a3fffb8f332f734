"""Predictions by their order: what comes first, and how far down the truth is."""

import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.normalize import drop_label_column

TINY = 1e-6


def sort_logits(logits: Tensor) -> Tensor:
    """Each row in ascending order: the shape of a prediction, whatever its class. [B, C] -> [B, C]."""
    return logits.sort(dim=1).values


def agreed_ranks(final: Tensor, weak: Tensor, labels: Tensor, logs: bool) -> Tensor:
    """Each class's rank from 1, by what two heads say of it; of the final one by `logs` if so. -> [B, C].

    final, weak [B, C] logits, labels [B]. Yang et al., 2023 (https://arxiv.org/abs/2303.13005).
    """
    own = F.log_softmax(final, dim=1) if logs else final.softmax(dim=1)
    score = among_rest(weak.softmax(dim=1), labels) + among_rest(own, labels)
    order = score.argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).to(final.dtype) + 1


def zipf(ranks: Tensor, labels: Tensor) -> Tensor:
    """Shares of all classes but the label's, by Zipf's law of their ranks. [B, C], [B] -> [B, C - 1]."""
    shares = drop_label_column(1.0 / ranks, labels)
    return shares / shares.sum(dim=1, keepdim=True)


def among_rest(scores: Tensor, labels: Tensor) -> Tensor:
    """Each class's part in what the true one leaves. [B, C], [B] -> [B, C]."""
    return scores / (1 - scores.gather(1, labels[:, None]) + TINY)


def top_ranked_mask(teacher: Tensor, labels: Tensor, share: float) -> Tensor:
    """Whether a row is right, or among this share of the wrong ones that rank the truth best. [N, C], [N] -> [N]."""
    rank = (teacher > teacher.gather(1, labels[:, None])).sum(dim=1)
    right = (rank == 0).sum()
    place = rank.argsort(stable=True).argsort()
    return place < right + ((len(rank) - right) * share).floor()
