"""Nodes: regions of a map, or tokens, and the cosines of all pairs of them (https://arxiv.org/abs/1903.04197)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.features import as_map, as_maps_of_one_size
from selfdistill.functional.normalize import EPS
from selfdistill.functional.padding import present_share


def pooled_nodes(maps: Tensor, scale: float) -> Tensor:
    """Max-pool maps or volumes in windows of a share of each side, the last one cut. [B, D, *sides] -> [B, D, N].

    >>> import torch
    >>> from selfdistill.functional import pooled_nodes
    >>> pooled_nodes(torch.arange(16.0).view(1, 1, 4, 4), scale=0.5)
    tensor([[[ 5.,  7., 13., 15.]]])
    """
    window = [max(1, int(scale * side)) for side in maps.shape[2:]]
    return _max_pool(maps, window).flatten(2)


def _max_pool(maps: Tensor, window: Sequence[int]) -> Tensor:
    pool = F.max_pool2d if maps.dim() == 4 else F.max_pool3d
    return pool(maps, list(window), list(window), ceil_mode=True)


def node_cosines(nodes: Tensor) -> Tensor:
    """Compute the cosine of every pair of nodes; their lengths have no gradient. [B, D, N] -> [B, N, N].

    A node of zeros has cosine 0 with all others. Liu et al., 2019 (https://arxiv.org/abs/1903.04197).

    >>> import torch
    >>> from selfdistill.functional import node_cosines
    >>> node_cosines(torch.tensor([[[3.0, 1.0], [4.0, 0.0]]]))[0, 0]
    tensor([1.0000, 0.6000])
    """
    lengths: Tensor = nodes.detach().norm(dim=1, keepdim=True)
    directions = nodes / (lengths + EPS)
    return directions.transpose(1, 2) @ directions


def pairwise_gap(student: Tensor, teacher: Tensor, scale: float) -> Tensor:
    """Compute the mean squared difference of `node_cosines` of two features; the larger map is averaged down. -> [].

    Nodes are windows of a share of each side, or the tokens that are present: [B, D, *sides] or [B, N, D] twice.
    Liu et al., 2019 (https://arxiv.org/abs/1903.04197).

    >>> import torch
    >>> from selfdistill.functional import pairwise_gap
    >>> pairwise_gap(torch.ones(1, 2, 4, 4), torch.ones(1, 3, 2, 2), scale=0.5)
    tensor(0.)
    """
    tokens = student.dim() == teacher.dim() == 3
    pair = map(as_map, (student, teacher)) if tokens else as_maps_of_one_size(student, teacher)
    nodes = [each.flatten(2) if tokens else pooled_nodes(each, scale) for each in pair]
    own, other = (node_cosines(each) for each in nodes)
    share = present_share(student)[..., None] if tokens else 1.0
    return ((own - other).square() / share**2).mean()
