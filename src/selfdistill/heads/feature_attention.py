"""Attention of a teacher's stages over a student's (https://arxiv.org/abs/2102.02973)."""

import math
from collections.abc import Sequence

import torch
from torch import Size, Tensor, nn

from selfdistill.functional import channels, global_average_pool


class FeatureAttention(nn.Module):
    """Shares of the student's stages for each stage of the teacher, by keys and queries from pooled features.

    Ji et al., 2021. A bilinear map of each key meets the query of each of the teacher's stages.
    """

    def __init__(self, student: Sequence[Size], teacher: Sequence[Size], width: int):
        super().__init__()
        self.width = width
        self.keys = nn.ModuleList(nn.Sequential(*normed(channels(each), width), nn.ReLU()) for each in student)
        self.queries = nn.ModuleList(nn.Sequential(*normed(channels(each), width)) for each in teacher)
        self.bilinear = nn.Sequential(*normed(width, len(teacher) * width))
        self.place = nn.Parameter(torch.randn(len(student), width))  # of the student's stages
        self.place_teacher = nn.Parameter(torch.randn(len(teacher), width))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Return the shares, which sum to 1 over n stages of the student. m of the teacher -> [B, m, n]."""
        keys = torch.stack(
            [key(global_average_pool(each)) for key, each in zip(self.keys, student, strict=True)], dim=1
        )
        queries = [query(global_average_pool(each)) for query, each in zip(self.queries, teacher, strict=True)]
        mapped = self.bilinear(keys.flatten(0, 1)).view(*keys.shape[:2], len(queries), self.width)  # [B, n, m, q]
        scores = torch.einsum("bnmq,bmq->bmn", mapped, torch.stack(queries, dim=1))
        return ((scores + self.place_teacher @ self.place.T) / math.sqrt(self.width)).softmax(dim=2)


def normed(width: int, out: int) -> list[nn.Module]:
    """Make a linear layer and BatchNorm. [B, D] -> [B, E]."""
    return [nn.Linear(width, out), nn.BatchNorm1d(out)]
