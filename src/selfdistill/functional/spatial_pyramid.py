"""Maps compared over coarser and coarser grids of positions (https://arxiv.org/abs/2104.09044)."""

import torch.nn.functional as F
from torch import Tensor

GRIDS = (4, 2, 1)  # positions a side of the coarser looks at a map


def hcl_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared differences of two maps as they are and over coarser grids, halving in weight. -> []."""
    grids = [grid for grid in GRIDS if grid < max(student.shape[2:])]
    gaps = [
        F.mse_loss(student, teacher),
        *(F.mse_loss(pool_to_grid(student, n), pool_to_grid(teacher, n)) for n in grids),
    ]
    shares = [0.5**k for k in range(len(gaps))]
    weighted = [share * gap for share, gap in zip(shares, gaps, strict=True)]
    return sum(weighted[1:], start=weighted[0]) / sum(shares)


def pool_to_grid(maps: Tensor, grid: int) -> Tensor:
    """Means over a grid of so many positions a side at most. [B, D, H, W] -> [B, D, h, w]."""
    return F.adaptive_avg_pool2d(maps, (min(grid, maps.shape[2]), min(grid, maps.shape[3])))
