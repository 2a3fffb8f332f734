"""Projections in which an image is found again among others."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import EPS


class UnitLinear(nn.Linear):
    """A linear layer that gives rows of length 1."""

    def forward(self, rows: Tensor) -> Tensor:
        """[B, D] -> [B, E]."""
        return F.normalize(super().forward(rows), dim=1, eps=EPS)


def projection(width: int) -> nn.Module:
    """Two layers of the embedding's width."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def found(project: nn.Module, upright: Tensor, turned: Tensor) -> Tensor:
    """Cosines of turned rows' projections with all upright ones'. [B, D], [M · B, D] -> [M · B, B]."""
    directions = F.normalize(project(torch.cat([upright, turned])), dim=1, eps=EPS)
    return directions[len(upright) :] @ directions[: len(upright)].T


def originals(cosines: Tensor) -> Tensor:
    """The column of each turned row's own original, all rows turned in one way together. [M · B, B] -> [M · B]."""
    return torch.arange(len(cosines), device=cosines.device) % cosines.shape[1]
