"""Hierarchical context loss over grids of positions (https://arxiv.org/abs/2104.09044)."""

import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.pooling import adaptive_avg_pool
from selfdistill.functional.summation import sum_tensors

GRIDS = (4, 2, 1)  # positions a side


def hcl_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the weighted mean squared error at full size and over pooled grids. [B, D, *sides] twice -> [].

    The weights halve from the full map to grids of 4, 2 and 1 positions a side and are divided by
    their sum. Chen et al., 2021 (https://arxiv.org/abs/2104.09044).

    >>> import torch
    >>> from selfdistill.functional import hcl_loss
    >>> hcl_loss(torch.zeros(1, 2, 8, 8), torch.ones(1, 2, 8, 8))
    tensor(1.)
    """
    grids = [grid for grid in GRIDS if grid < max(student.shape[2:])]
    gaps = [
        F.mse_loss(student, teacher),
        *(F.mse_loss(pool_to_grid(student, n), pool_to_grid(teacher, n)) for n in grids),
    ]
    shares = [0.5**k for k in range(len(gaps))]
    return sum_tensors(share * gap for share, gap in zip(shares, gaps, strict=True)) / sum(shares)


def pool_to_grid(maps: Tensor, grid: int) -> Tensor:
    """Average-pool maps or volumes to at most `grid` positions a side. [B, D, *sides] -> [B, D, *sides].

    >>> import torch
    >>> from selfdistill.functional import pool_to_grid
    >>> pool_to_grid(torch.arange(4.0).view(1, 1, 2, 2), grid=1)
    tensor([[[[1.5000]]]])
    """
    return adaptive_avg_pool(maps, [min(grid, side) for side in maps.shape[2:]])
