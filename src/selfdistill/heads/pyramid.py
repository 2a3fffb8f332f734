"""A feature pyramid over a network's stages, top-down and bottom-up, with a classifier."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import adaptive_max_pool, global_average_pool, match_ndim
from selfdistill.heads.layers import layers_for
from selfdistill.terms import Pool

FUSION_EPS = 1e-6  # added to the sum of a fusion's weights


class Pyramid(nn.Module):
    """BiFPNc, the auxiliary network of FRSKD (https://arxiv.org/abs/2103.08273): one layer of a pyramid.

    `widths` are the stages' channels from shallow to deep; refined maps have `factor` times as many channels.
    `ndim` is the largest number of dimensions among the stages.
    """

    def __init__(self, widths: list[int], classes: int, factor: int = 2, depth: int = 2, ndim: int = 4):
        super().__init__()
        wide = [factor * width for width in widths]
        pairs = list(pairwise(wide))  # (shallow, deep) neighbors
        self.enter = nn.ModuleList(PyramidNode(*each, ndim) for each in zip(widths, wide, strict=True))
        self.enter_again = nn.ModuleList(PyramidNode(*each, ndim) for each in zip(widths[1:], wide[1:], strict=True))
        self.widen = nn.ModuleList(PyramidNode(deep, shallow, ndim) for shallow, deep in pairs)
        self.narrow = nn.ModuleList(PyramidNode(shallow, deep, ndim) for shallow, deep in pairs)
        self.fuse_up = nn.ModuleList(WeightedFusion(2, shallow, depth, ndim) for shallow, _ in pairs)
        last = len(pairs) - 1
        self.fuse_down = nn.ModuleList(
            WeightedFusion(2 if k == last else 3, deep, depth, ndim) for k, (_, deep) in enumerate(pairs)
        )
        self.classify = nn.Linear(wide[-1], classes)

    def forward(self, features: list[Tensor], pool: Pool = global_average_pool) -> tuple[list[Tensor], Tensor]:
        """Return refined maps and logits. Features of any kind, shallow to deep -> maps [B, D, *sides], [R, C]."""
        maps = [each.relu() for each in match_ndim(features)]
        refined = [each.relu() for each in self.bottom_up(maps, self.top_down(maps))]
        return refined, self.classify(pool(refined[-1]))

    def top_down(self, maps: list[Tensor]) -> list[Tensor]:
        """Fuse each map with the next deeper one, upsampled, from deep to shallow."""
        entered = [enter(each) for enter, each in zip(self.enter, maps, strict=True)]
        fused = entered[-1:]
        for k in reversed(range(len(maps) - 1)):
            larger = self.widen[k](upsample_like(fused[0].relu(), entered[k]))
            fused = [self.fuse_up[k](entered[k], larger), *fused]
        return fused

    def bottom_up(self, maps: list[Tensor], fused: list[Tensor]) -> list[Tensor]:
        """Fuse each map with its top-down result and the next shallower one, downsampled, from shallow to deep."""
        refined = fused[:1]
        for k, enter in enumerate(self.enter_again):
            entered = enter(maps[k + 1])
            middle = [fused[k + 1]] if k + 2 < len(maps) else []
            smaller = self.narrow[k](downsample_like(refined[-1].relu(), entered))
            refined = [*refined, self.fuse_down[k](entered, *middle, smaller)]
        return refined


class PyramidNode(nn.Sequential):
    """A 1x1 convolution with BatchNorm."""

    def __init__(self, width: int, out: int, ndim: int):
        layers = layers_for(ndim)
        super().__init__(layers.conv(width, out, 1, bias=False), layers.batch_norm(out))


class WeightedFusion(nn.Module):
    """A learned weighted mean of rectified maps, then separable 3x3 convolutions."""

    def __init__(self, count: int, width: int, depth: int, ndim: int = 4):
        super().__init__()
        self.weights = nn.Parameter(torch.ones(count))
        blocks = [[nn.ReLU(), *separable(width, ndim)] for _ in range(depth)]
        self.convolve = nn.Sequential(*[layer for block in blocks for layer in block][1:])

    def forward(self, *maps: Tensor) -> Tensor:
        """Fuse several maps of one shape. [B, D, *sides] each -> [B, D, *sides]."""
        weights = self.weights.relu()
        shares = (weights / (weights.sum() + FUSION_EPS)).unbind()
        fused = torch.stack([share * each.relu() for share, each in zip(shares, maps, strict=True)]).sum(dim=0)
        convolved: Tensor = self.convolve(fused)
        return convolved


def separable(width: int, ndim: int) -> list[nn.Module]:
    """Make a depthwise 3x3 convolution, a 1x1 convolution and BatchNorm."""
    layers = layers_for(ndim)
    depthwise = layers.conv(width, width, 3, padding=1, groups=width, bias=False)
    return [depthwise, layers.conv(width, width, 1, bias=False), layers.batch_norm(width)]


def upsample_like(deep: Tensor, shallow: Tensor) -> Tensor:
    """Upsample a deep map to a shallow one's size by nearest neighbor. -> [B, D, *sides of shallow]."""
    return F.interpolate(deep, size=shallow.shape[2:], mode="nearest")


def downsample_like(shallow: Tensor, deep: Tensor) -> Tensor:
    """Max-pool a shallow map to a deep one's size: by 3 a side with stride 2 where it halves, else adaptively."""
    size = deep.shape[2:]
    if shallow.shape[2:] == tuple(2 * side for side in size):
        pool = F.max_pool2d if shallow.dim() == 4 else F.max_pool3d
        return pool(F.pad(shallow, (0, 1) * len(size)), 3, stride=2)
    return adaptive_max_pool(shallow, size)
