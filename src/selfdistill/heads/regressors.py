"""Regressors from a student's features to a teacher's, for any two shapes."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.functional import as_maps_of_one_size, as_matching_maps, present_share
from selfdistill.heads.layers import layers_for

MIN_VARIANCE = 1e-5


def regressor(student: Size, teacher: Size, relu: bool = True) -> nn.Sequential:
    """Make a convolution from student to teacher shape, BatchNorm and ReLU.

    Romero et al., 2015 (https://arxiv.org/abs/1412.6550).
    """
    own, hint = _shapes(student, teacher)
    fit = nn.Sequential()
    fit.add_module("conv", convolution(own[1], hint[1], [*zip(own[2:], hint[2:], strict=True)]))
    fit.add_module("bn", layers_for(len(hint)).batch_norm(hint[1]))
    return fit.append(nn.ReLU()) if relu else fit


def convolution(width: int, out: int, sides: Sequence[tuple[int, int]]) -> nn.Module:
    """Make the convolution that maps each side to the wanted one; `sides` are pairs (has, wanted)."""
    kinds = [_kernel(has, wanted) for has, wanted in sides]
    kernel, stride, padding = zip(*(each for _, each in kinds), strict=True)
    layers, grows = layers_for(2 + len(kinds)), any(up for up, _ in kinds)
    return (layers.conv_transpose if grows else layers.conv)(width, out, kernel, stride, padding)


class Bottleneck(nn.Sequential):
    """A 1x1, a 3x3 and a 1x1 convolution from a student's channels to a teacher's, at any size.

    BatchNorm and ReLU follow the first two, and with `rectified` the last. Chen et al., 2021
    (https://arxiv.org/abs/2012.03236) and 2022 (https://arxiv.org/abs/2203.14001).
    """

    def __init__(self, student: Size, teacher: Size, width: int, rectified: bool = False):
        (_, own, *sides), (_, out, *_) = _shapes(student, teacher)
        conv, _, norm, _ = layers_for(2 + len(sides))
        inner = [conv(own, width, 1, bias=False), norm(width), nn.ReLU()]
        inner += [conv(width, width, 3, padding=1, bias=False), norm(width), nn.ReLU()]
        super().__init__(*inner, conv(width, out, 1, bias=False), *([norm(out), nn.ReLU()] if rectified else []))

    def gap(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean squared error of each row, at the smaller size. -> [B]."""
        own, target = as_maps_of_one_size(student, teacher)
        guess: Tensor = self(own)
        return (guess - target).square().flatten(1).mean(dim=1)


class GaussianRegressor(nn.Module):
    """A Gaussian model of one teacher stage: the mean by three 1x1 convolutions, one variance per channel.

    Ahn et al., 2019 (https://arxiv.org/abs/1904.05835).
    """

    def __init__(self, student: Size, teacher: Size, variance: float):
        super().__init__()
        (_, own, *sides), (_, out, *_) = _shapes(student, teacher)
        conv = layers_for(2 + len(sides)).conv
        layers = [conv(width, out, 1, bias=False) for width in (own, out, out)]
        self.regressor = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        excess = max(variance - MIN_VARIANCE, MIN_VARIANCE)
        self.log_scale = nn.Parameter(torch.full((out,), math.log(math.expm1(excess))))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean over all present entries of ((mean - t)² / v + log v) / 2. -> []."""
        own, target = as_maps_of_one_size(student, teacher)
        share = present_share(student).view(-1, *[1] * (own.dim() - 1))
        variance = (F.softplus(self.log_scale) + MIN_VARIANCE).view(-1, *[1] * (own.dim() - 2))
        mean: Tensor = self.regressor(own)
        gap = (mean - target).square() / share  # 0 at absent tokens: no layer has a bias
        return (gap / variance + variance.log()).mean() / 2


def _shapes(student: Size, teacher: Size) -> list[Size]:
    """Return the shapes of student and teacher as maps."""
    return [each.shape for each in as_matching_maps(torch.empty(student), torch.empty(teacher))]


def _kernel(has: int, wanted: int) -> tuple[bool, tuple[int, int, int]]:
    """Return True for upsampling, and (kernel, stride, padding); teacher maps that stay larger are pooled later."""
    if has == 2 * wanted:
        return False, (3, 2, 1)
    if 2 * has == wanted:
        return True, (4, 2, 1)
    return False, (1 + max(0, has - wanted), 1, 0)
