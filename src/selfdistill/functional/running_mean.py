"""Means that go on: of what was seen so far, and of each class."""

import torch
import torch.nn.functional as F
from torch import Tensor


def ema_update(old: Tensor, new: Tensor, steps: Tensor | int, decay: float) -> Tensor:
    """An exponential average after so many steps; at first the plain mean of all of them. -> like `old`."""
    keep = torch.as_tensor(1 - 1 / steps, device=old.device).clamp(max=decay)
    return torch.lerp(new, old, keep.to(old.dtype))


def class_sums(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The sum of features of each class, and in the last column its number of rows. [B, D], [B] -> [C, D + 1]."""
    members = F.one_hot(labels, classes).to(features.dtype).T  # [C, B]
    return torch.cat([members @ features, members.sum(dim=1, keepdim=True)], dim=1)


def update_centers(known: tuple[Tensor, Tensor], sums: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Class centers after a batch: c - rate · sum(c - f) / (1 + n); at first the class's mean.

    What is known are the centers [C, D], and how many rows each has met [C, 1]; sums as of `class_sums`.
    """
    centers, met = known
    total, counts = sums[:, :-1], sums[:, -1:]
    mean = total / counts.clamp(min=1)
    nearer = centers - rate * (counts * centers - total) / (1 + counts)
    first = (met == 0) & (counts > 0)
    return torch.where(first, mean, nearer), met + counts
