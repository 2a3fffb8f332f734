"""Filters, zooms and shifts of float images [B, D, H, W], with the border modes of SciPy and OpenCV."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Border = Callable[[Tensor, int], Tensor]  # (positions, size) -> positions inside the image


def replicate(positions: Tensor, size: int) -> Tensor:
    """Border mode "nearest": aaa|abcd|ddd."""
    return positions.clamp(0, size - 1)


def reflect(positions: Tensor, size: int) -> Tensor:
    """Border mode "reflect" (NumPy's name): dcb|abcd|cba."""
    return (size - 1) - ((size - 1) - positions % max(2 * size - 2, 1)).abs()


def symmetric(positions: Tensor, size: int) -> Tensor:
    """Border mode "symmetric" (NumPy's name): cba|abcd|dcb."""
    inside = positions % (2 * size)
    return torch.where(inside < size, inside, 2 * size - 1 - inside)


def convolve(images: Tensor, kernel: Tensor, border: Border) -> Tensor:
    """Convolve every channel with one symmetric kernel [K, L], K and L odd."""
    height, width = images.shape[-2:]
    reach_y, reach_x = (size // 2 for size in kernel.shape)
    rows = border(torch.arange(-reach_y, height + reach_y, device=images.device), height)
    columns = border(torch.arange(-reach_x, width + reach_x, device=images.device), width)
    wide = images[:, :, rows[:, None], columns].flatten(0, 1)[:, None]
    return F.conv2d(wide, kernel.to(images)[None, None]).view_as(images)


def gaussian_kernel(sigma: float, reach: int) -> Tensor:
    """Gaussian kernel at -reach … reach, of sum 1. -> [2 · reach + 1]."""
    weights = (-(torch.arange(-reach, reach + 1) ** 2) / (2 * max(sigma, 1e-6) ** 2)).exp()
    return weights / weights.sum()


def smooth(images: Tensor, sigma: float, border: Border = replicate, truncate: float = 4.0) -> Tensor:
    """Apply a Gaussian of `sigma` pixels, truncated at `truncate` sigmas, as scikit-image and SciPy do."""
    kernel = gaussian_kernel(sigma, int(truncate * sigma + 0.5))
    return convolve(convolve(images, kernel[:, None], border), kernel[None], border)


def zoom_in(images: Tensor, factor: float) -> Tensor:
    """Enlarge the center of square images by a factor, keeping their size."""
    size = images.shape[-1]
    part = math.ceil(size / factor)
    top = (size - part) // 2
    middle = images[..., top : top + part, top : top + part]
    large = F.interpolate(middle, (round(part * factor),) * 2, mode="bilinear", align_corners=True)
    trim = (large.shape[-1] - size) // 2
    return large[..., trim : trim + size, trim : trim + size]


def directional_blur(images: Tensor, radius: float, sigma: float, angles: Tensor) -> Tensor:
    """Blur to one side along an angle in degrees for each image: ImageMagick's motion blur. angles [B]."""
    reach = 2 * math.ceil(radius) + 1
    weights = gaussian_kernel(sigma, reach - 1)[reach - 1 :]
    rays = torch.deg2rad(angles)[:, None] * torch.ones(reach)
    down, right = ((torch.arange(reach) * turn(rays) - 0.5).ceil().long() for turn in (torch.sin, torch.cos))
    total = torch.zeros_like(images)
    for k, weight in enumerate((weights / weights.sum()).tolist()):
        total += weight * shift(images, down[:, k], right[:, k])
    return total


def shift(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift each image up by `down` and left by `right` pixels, replicating borders. [B, D, H, W], [B], [B]."""
    count, _, height, width = images.shape
    b = torch.arange(count)[:, None, None]
    y = replicate(torch.arange(height) + down[:, None], height)[:, :, None]
    x = replicate(torch.arange(width) + right[:, None], width)[:, None]
    where = (each.to(images.device) for each in (b, y, x))
    return images.movedim(1, -1)[tuple(where)].movedim(-1, 1)


def sample_bilinear(images: Tensor, y: Tensor, x: Tensor, border: Border) -> Tensor:
    """Sample bilinearly at positions y and x [B, H, W]. images [B, D, H, W] -> [B, D, H, W]."""
    height, width = images.shape[-2:]
    b = torch.arange(len(images), device=images.device)[:, None, None]
    top, left = y.floor(), x.floor()
    total = torch.zeros_like(images).movedim(1, -1)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (1 - (y - top - row).abs()) * (1 - (x - left - column).abs())
        source = border((top + row).long(), height), border((left + column).long(), width)
        total += weight[..., None] * images.movedim(1, -1)[b, source[0], source[1]]
    return total.movedim(-1, 1)
