"""Retrieval recall@1 of embeddings."""

import torch
from torch import Tensor

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.cosine import TOLERANCE, unit_rows

ROWS = 512  # compared at once with all others, so that [N, N] is never in memory


def recall_at_1(embeddings: Tensor, labels: Tensor, device: torch.device | str = "cpu") -> float | None:
    """Percentage of images whose nearest other image by cosine has their class. embeddings [N, D], labels [N].

    Of images equally near, the share of the right class counts, so the order of rows has no effect. Images that are
    alone in their class are left out; None where all are. Raises `UserError` for NaN and infinity.

    >>> recall_at_1(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    100.0
    """
    pairs = unit_rows(embeddings, device)
    labels = labels.to(pairs.device)
    shares = torch.cat([_right(pairs, labels, start) for start in range(0, len(pairs), ROWS)])
    paired = labels.bincount()[labels] > 1
    return 100 * shares[paired].mean().item() if paired.any() else None


def _right(unit: Tensor, labels: Tensor, start: int) -> Tensor:
    """Share of the right class among the nearest other rows, for up to ROWS rows of [N, D]. -> [ROWS] or fewer."""
    cosine = unit[start : start + ROWS] @ unit.T
    cosine.diagonal(start).fill_(-torch.inf)
    nearest = cosine >= cosine.amax(dim=1, keepdim=True) - TOLERANCE
    same = labels[start : start + ROWS, None] == labels
    return (nearest & same).sum(dim=1).double() / nearest.sum(dim=1)


def compute(context: EvaluationContext) -> dict[str, float | None]:
    """Metric "recall" on the test images."""
    return {"recall_at_1": recall_at_1(*context.embeddings_and_labels, context.model.device)}
