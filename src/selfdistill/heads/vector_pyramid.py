"""A top-down pyramid over pooled stages, with a classifier at each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from selfdistill.functional import global_average_pool
from selfdistill.terms import Pool


class VectorPyramid(nn.Module):
    """Pooled stages of `widths` channels, shallow to deep, fused from the embedding downwards; all as wide as it.

    Li et al., 2024 (https://doi.org/10.1016/j.patcog.2024.110422).
    """

    def __init__(self, widths: Sequence[int], width: int, classes: int):
        super().__init__()
        self.lateral = nn.ModuleList(dense(own, width) for own in widths)
        self.down = nn.ModuleList(dense(width, width) for _ in widths)
        self.fuse = nn.ModuleList(dense(2 * width, width) for _ in widths)
        self.classify = nn.ModuleList(nn.Linear(width, classes) for _ in widths)

    def forward(self, features: Sequence[Tensor], embedding: Tensor, pool: Pool = global_average_pool) -> list[Tensor]:
        """Return the logits of each stage. Features of any kind, and [R, D] -> [R, C] each."""
        deeper, logits = embedding, []
        levels = zip(features, self.lateral, self.down, self.fuse, self.classify, strict=True)
        for feature, lateral, down, fuse, classify in reversed(list(levels)):
            above = down(deeper)
            deeper = fuse(torch.cat([above + lateral(pool(feature)), above], dim=1))
            logits.append(classify(deeper))
        return logits[::-1]


def dense(width: int, out: int) -> nn.Module:
    """Make a linear layer with BatchNorm and ReLU. [R, D] -> [R, E]."""
    return nn.Sequential(nn.Linear(width, out, bias=False), nn.BatchNorm1d(out), nn.ReLU())
