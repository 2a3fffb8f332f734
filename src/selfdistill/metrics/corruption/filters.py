"""Blurs, zooms and shifts of float images [B, D, H, W], with the borders of the libraries that others use."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Border = Callable[[Tensor, int], Tensor]  # of positions beyond the image and its size: where to read instead


def repeated(positions: Tensor, size: int) -> Tensor:
    """The last pixel again: aaa|abcd|ddd."""
    return positions.clamp(0, size - 1)


def mirrored(positions: Tensor, size: int) -> Tensor:
    """Mirrored in the last pixel: dcb|abcd|cba."""
    return (size - 1) - ((size - 1) - positions % max(2 * size - 2, 1)).abs()


def folded(positions: Tensor, size: int) -> Tensor:
    """Mirrored behind the last pixel: cba|abcd|dcb."""
    inside = positions % (2 * size)
    return torch.where(inside < size, inside, 2 * size - 1 - inside)


def convolved(images: Tensor, kernel: Tensor, border: Border) -> Tensor:
    """Every channel with the same symmetric kernel [K, L], K and L odd."""
    height, width = images.shape[-2:]
    reach_y, reach_x = (size // 2 for size in kernel.shape)
    rows = border(torch.arange(-reach_y, height + reach_y, device=images.device), height)
    columns = border(torch.arange(-reach_x, width + reach_x, device=images.device), width)
    wide = images[:, :, rows[:, None], columns].flatten(0, 1)[:, None]
    return F.conv2d(wide, kernel.to(images)[None, None]).view_as(images)


def bell(sigma: float, reach: int) -> Tensor:
    """A Gaussian at -reach … reach, of sum 1. -> [2 · reach + 1]."""
    weights = (-(torch.arange(-reach, reach + 1) ** 2) / (2 * max(sigma, 1e-6) ** 2)).exp()
    return weights / weights.sum()


def smoothed(images: Tensor, sigma: float, border: Border = repeated, truncate: float = 4.0) -> Tensor:
    """Blurred by a Gaussian of `sigma` pixels, cut off at `truncate` sigmas: scikit-image's and SciPy's."""
    kernel = bell(sigma, int(truncate * sigma + 0.5))
    return convolved(convolved(images, kernel[:, None], border), kernel[None], border)


def zoomed(images: Tensor, factor: float) -> Tensor:
    """The middle of square images enlarged by this factor, in their own size."""
    size = images.shape[-1]
    part = math.ceil(size / factor)
    top = (size - part) // 2
    middle = images[..., top : top + part, top : top + part]
    large = F.interpolate(middle, (round(part * factor),) * 2, mode="bilinear", align_corners=True)
    trim = (large.shape[-1] - size) // 2
    return large[..., trim : trim + size, trim : trim + size]


def dragged(images: Tensor, radius: float, sigma: float, angles: Tensor) -> Tensor:
    """Blurred to one side along an angle for each image, in degrees: ImageMagick's motion blur. angles [B]."""
    reach = 2 * math.ceil(radius) + 1
    weights = bell(sigma, reach - 1)[reach - 1 :]
    rays = torch.deg2rad(angles)[:, None] * torch.ones(reach)
    down, right = ((torch.arange(reach) * turn(rays) - 0.5).ceil().long() for turn in (torch.sin, torch.cos))
    total = torch.zeros_like(images)
    for k, weight in enumerate((weights / weights.sum()).tolist()):
        total += weight * shifted(images, down[:, k], right[:, k])
    return total


def shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """What lies so many pixels below and to the right of each pixel, for each image. [B, D, H, W], [B], [B]."""
    count, _, height, width = images.shape
    b = torch.arange(count)[:, None, None]
    y = repeated(torch.arange(height) + down[:, None], height)[:, :, None]
    x = repeated(torch.arange(width) + right[:, None], width)[:, None]
    where = (each.to(images.device) for each in (b, y, x))
    return images.movedim(1, -1)[tuple(where)].movedim(-1, 1)


def sampled(images: Tensor, y: Tensor, x: Tensor, border: Border) -> Tensor:
    """Read between the pixels, linearly. images [B, D, H, W], y and x [B, H, W] -> [B, D, H, W]."""
    height, width = images.shape[-2:]
    b = torch.arange(len(images), device=images.device)[:, None, None]
    top, left = y.floor(), x.floor()
    total = torch.zeros_like(images).movedim(1, -1)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (1 - (y - top - row).abs()) * (1 - (x - left - column).abs())
        read = border((top + row).long(), height), border((left + column).long(), width)
        total += weight[..., None] * images.movedim(1, -1)[b, read[0], read[1]]
    return total.movedim(-1, 1)
