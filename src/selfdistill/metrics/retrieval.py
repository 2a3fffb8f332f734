"""Whether the nearest image is of the same class."""

import torch
from torch import Tensor, nn

ROWS = 512  # compared at once with all others, so that [N, N] is never in memory


def recall_at_1(embeddings: Tensor, labels: Tensor, device: torch.device | str = "cpu") -> float | None:
    """Percent of images whose nearest other one, by cosine, has their class. embeddings [N, D], labels [N].

    Images that are alone in their class have nothing to find and are left out; None where all are.
    """
    labels = labels.to(device)
    pairs = nn.functional.normalize(embeddings.to(device))
    found = torch.cat([_nearest(pairs, start) for start in range(0, len(pairs), ROWS)])
    paired = labels.bincount()[labels] > 1
    right = (labels[found] == labels)[paired]
    return 100 * int(right.sum()) / len(right) if len(right) else None


def _nearest(unit: Tensor, start: int) -> Tensor:
    """For some rows of [N, D] the index of the nearest other one. -> [ROWS] or fewer."""
    cosine = unit[start : start + ROWS] @ unit.T
    cosine.diagonal(start).fill_(-torch.inf)
    return cosine.argmax(dim=1)
