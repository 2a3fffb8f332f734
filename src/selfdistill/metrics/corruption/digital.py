"""Digital corruptions. images [B, 3, H, W] uint8 -> same, severity 1 to 5."""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from selfdistill.metrics.corruption.filters import reflect, sample_bilinear, smooth, symmetric
from selfdistill.metrics.corruption.pixels import to_uint8, to_unit_range


def contrast(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Reduce the contrast of each channel."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    values = to_unit_range(images)
    mean = values.mean(dim=(2, 3), keepdim=True)
    return to_uint8((values - mean) * kept + mean)


def saturate(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Reduce (1 and 2) or raise (3 to 5) HSV saturation; grey has hue 0 and turns red."""
    factor, more = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    values = to_unit_range(images)
    value, least = values.amax(dim=1, keepdim=True), values.amin(dim=1, keepdim=True)
    chroma = value - least
    saturation = chroma / value.clamp(min=1e-6)
    wanted = (saturation * factor + more).clamp(0, 1)
    red = values.new_tensor([0.0, 1.0, 1.0])[:, None, None]  # how far each channel of red lies below its largest
    below = torch.where(chroma > 0, (value - values) / chroma.clamp(min=1e-6), red)
    return to_uint8(value * (1 - wanted * below))


def elastic_transform(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Apply a random affine map and a smooth warp to each image."""
    size = images.shape[-1]
    amplitude, sigma, jitter = (
        size * np.array(((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)))
    )[severity - 1].tolist()
    moved = affine(to_unit_range(images), jitter, generator)
    draws = torch.rand(2, len(images), size, size, generator=generator).to(images.device) * 2 - 1
    down, right = smooth(draws, sigma, symmetric, truncate=3) * amplitude
    place = torch.arange(size, device=images.device).float()
    return to_uint8(sample_bilinear(moved, place[:, None] + down, place + right, symmetric))


def pixelate(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Downsample with a box filter and upsample again."""
    size = images.shape[-1]
    few = max(int(size * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]), 1)
    box = Image.Resampling.BOX
    return _each(images, lambda image: image.resize((few, few), box).resize((size, size), box))


def jpeg_compression(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Compress as JPEG of quality 80 to 40."""
    quality = (80, 65, 58, 50, 40)[severity - 1]
    return _each(images, lambda image: _through_jpeg(image, quality))


def affine(values: Tensor, jitter: float, generator: Generator) -> Tensor:
    """Warp by the affine map that moves three points by up to `jitter` pixels. [B, 3, H, H] float."""
    size = values.shape[-1]
    middle, reach = size // 2, size // 3
    points = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]) * reach + middle  # [3, (x, y)]
    moved = points + jitter * (torch.rand(len(values), 3, 2, generator=generator) * 2 - 1)
    back = torch.linalg.solve(_with_one(moved), points)  # [B, 3, 2]: source of a pixel
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    source = _with_one(torch.stack([x, y], dim=-1)).view(1, -1, 3) @ back
    x, y = source.view(len(values), size, size, 2).to(values.device).unbind(-1)
    return sample_bilinear(values, y, x, reflect)


def _with_one(points: Tensor) -> Tensor:
    """Homogeneous coordinates. [..., 2] -> [..., 3]."""
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def _each(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Apply a Pillow operation to each image."""
    rows = (Image.fromarray(row) for row in images.movedim(1, -1).cpu().numpy())
    changed = np.stack([np.asarray(change(row)) for row in rows])
    return torch.from_numpy(changed).movedim(-1, 1).to(images.device)
