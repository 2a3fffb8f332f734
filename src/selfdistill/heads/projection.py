"""Projections for contrastive matching of transformed images with their originals."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import EPS


class UnitLinear(nn.Linear):
    """A linear layer whose output rows have L2 norm 1."""

    def forward(self, rows: Tensor) -> Tensor:
        """[B, D] -> [B, E]."""
        return F.normalize(super().forward(rows), dim=1, eps=EPS)


def projection(width: int, hidden: int | None = None, out: int | None = None) -> nn.Module:
    """Make a two-layer projection; its layers have the embedding's width unless another is given. [B, D] -> [B, E]."""
    middle = hidden or width
    return nn.Sequential(nn.Linear(width, middle), nn.ReLU(), nn.Linear(middle, out or width))


def original_similarity(project: nn.Module, originals: Tensor, transformed: Tensor) -> Tensor:
    """Compute cosines between projected transformed rows and projected originals. [B, D], [M · B, D] -> [M · B, B]."""
    directions = F.normalize(project(torch.cat([originals, transformed])), dim=1, eps=EPS)
    return directions[len(originals) :] @ directions[: len(originals)].T


def matching_loss(cosines: Tensor) -> Tensor:
    """Compute the cross-entropy of each transformed row's cosines with its original's column. [M · B, B] -> []."""
    return F.cross_entropy(cosines, original_index(cosines))


def original_index(cosines: Tensor) -> Tensor:
    """Return the column of each transformed row's original; transformations are concatenated. [M · B, B] -> [M · B]."""
    return torch.arange(len(cosines), device=cosines.device) % cosines.shape[1]
