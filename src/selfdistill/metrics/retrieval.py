"""Retrieval recall@1 of embeddings."""

import torch
from torch import Tensor, nn

from selfdistill.metrics.context import EvaluationContext

ROWS = 512  # compared at once with all others, so that [N, N] is never in memory


def recall_at_1(embeddings: Tensor, labels: Tensor, device: torch.device | str = "cpu") -> float | None:
    """Percentage of images whose nearest other image by cosine has their class. embeddings [N, D], labels [N].

    Images that are alone in their class are left out; None where all are.

    >>> recall_at_1(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    100.0
    """
    labels = labels.to(device)
    pairs = nn.functional.normalize(embeddings.to(device))
    nearest = torch.cat([_nearest(pairs, start) for start in range(0, len(pairs), ROWS)])
    paired = labels.bincount()[labels] > 1
    right = (labels[nearest] == labels)[paired]
    return 100 * int(right.sum()) / len(right) if len(right) else None


def _nearest(unit: Tensor, start: int) -> Tensor:
    """Index of the nearest other row, for up to ROWS rows of [N, D]. -> [ROWS] or fewer."""
    cosine = unit[start : start + ROWS] @ unit.T
    cosine.diagonal(start).fill_(-torch.inf)
    return cosine.argmax(dim=1)


def compute(context: EvaluationContext) -> dict[str, float | None]:
    """Metric "recall" on the test images."""
    return {"recall_at_1": recall_at_1(*context.embeddings_and_labels, context.model.device)}
