"""Pictures of several shapes on textures, with exact masks: a small segmentation task without files.

A shape's class is its outline, and its color hints at it; size, rotation, stretch and textures are drawn alike for all
classes. Later shapes hide earlier ones, and pixels within one of an outline have no label.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selfdistill.data.ignored import IGNORED

SHAPES = ("disk", "ring", "square", "triangle", "cross", "star", "crescent")
CLASSES = ("background", *SHAPES)
MOST = 4  # shapes of a picture; one at least
BLOCK = 128  # pictures drawn at once
BAND = 1.0  # pixels on both sides of an outline that have no label
HINT = 0.5  # weight of a shape's own color in its first color; the rest is random
CONTRASTS = (0.1, 0.5)  # of the two colors of a texture
COLORS = 40.0 + 175.0 * torch.tensor([[(k >> bit) & 1 for bit in range(3)] for k in range(1, 8)])  # [7, 3] of SHAPES
RADII = (0.14, 0.3)  # of shapes, as shares of the side
STRETCHES = (0.75, 1.33)  # of a shape's width; its height does not change
NOISE = 16.0  # standard deviation of pixels
VISIBLE = 1 / 200  # share of a picture's pixels by which a shape is there


class Outlines(NamedTuple):
    """Shapes of a block of pictures, the lowest first."""

    kind: Tensor  # [B, 4] place in SHAPES
    there: Tensor  # [B, 4] bool
    center: Tensor  # [B, 4, 2] row and column, from 0 to 1
    radius: Tensor  # [B, 4] from 0 to 1
    angle: Tensor  # [B, 4] radians
    stretch: Tensor  # [B, 4]


def draw_pictures(count: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw pictures and their masks. -> [N, 3, S, S] uint8, [N, S, S] int16; -100 at outlines.

    Class 0 is the background, class k the shape `SHAPES[k - 1]`.

    >>> [tuple(each.shape) for each in draw_pictures(2, 32, seed=0)]
    [(2, 3, 32, 32), (2, 32, 32)]
    """
    draws = Generator().manual_seed(seed)
    blocks = [_draw_block(min(BLOCK, count - first), size, draws) for first in range(0, count, BLOCK)]
    images, masks = (torch.cat(each) for each in zip(*blocks, strict=True))
    return images, masks


def visible_shapes(masks: Tensor) -> Tensor:
    """Tags of the shapes that are seen: 1 for at least a 200th of the picture's pixels. [N, S, S] -> [N, 7] float32.

    >>> visible_shapes(torch.ones(1, 8, 8, dtype=torch.int16))
    tensor([[1., 0., 0., 0., 0., 0., 0.]])
    """
    shares = [(masks == k).flatten(1).double().mean(dim=1) for k in range(1, len(CLASSES))]
    return (torch.stack(shares, dim=1) >= VISIBLE).float()


def _draw_block(count: int, size: int, draws: Generator) -> tuple[Tensor, Tensor]:
    shapes = _draw_outlines(count, draws)
    images, masks = _textures(count, size, draws), torch.zeros(count, size, size, dtype=torch.int16)
    for layer in range(MOST):
        distance = _distances(shapes, layer, size)[:, None]  # [B, 1, S, S]
        texture = _textures(count, size, draws, COLORS[shapes.kind[:, layer]])
        images = torch.lerp(images, texture, (0.5 - distance).clamp(0, 1))
        kind = (shapes.kind[:, layer, None, None] + 1).short()
        masks = torch.where(distance[:, 0] < 0, kind, masks).masked_fill(distance[:, 0].abs() < BAND, IGNORED)
    noisy = _lit(images, draws) + NOISE * torch.randn(images.shape, generator=draws)
    return noisy.round().clamp(0, 255).to(torch.uint8), masks


def _draw_outlines(count: int, draws: Generator) -> Outlines:
    kind = torch.randint(len(SHAPES), (count, MOST), generator=draws)
    there = torch.arange(MOST) < torch.randint(1, MOST + 1, (count, 1), generator=draws)
    uniform = torch.rand(count, MOST, 5, generator=draws)
    low, high = torch.tensor([RADII, STRETCHES]).T
    radius, stretch = (low + (high - low) * uniform[..., :2]).unbind(dim=2)
    return Outlines(kind, there, 0.1 + 0.8 * uniform[..., 2:4], radius, 2 * torch.pi * uniform[..., 4], stretch)


def _distances(shapes: Outlines, layer: int, size: int) -> Tensor:
    """Distance of each pixel to the outline of a layer's shape in pixels, below 0 inside. -> [B, S, S]."""
    kind, there, center, radius, angle, stretch = (each[:, layer] for each in shapes)
    places = (torch.arange(size) + 0.5) / size
    down = places[:, None] - center[:, 0, None, None]  # [B, S, 1]
    along = places - center[:, 1, None, None]  # [B, 1, S]
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    scale = radius[:, None, None]
    x = (cosine * along + sine * down) / (scale * stretch[:, None, None])
    y = (cosine * down - sine * along) / scale
    found = torch.full((len(kind), size, size), float(size))
    for k, outline in enumerate(OUTLINES):
        rows = (kind == k) & there
        found[rows] = outline(x[rows], y[rows]) * scale[rows] * size
    return found


def _disk(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 1


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.75).abs() - 0.25


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.85


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    slope = 3**0.5 / 2
    return torch.maximum(torch.maximum(slope * x - y / 2, -slope * x - y / 2), y) - 0.55


def _cross(x: Tensor, y: Tensor) -> Tensor:
    long, short = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    return torch.maximum(long - 1, short - 0.33)


def _star(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - (0.7 + 0.3 * torch.cos(5 * torch.atan2(y, x)))


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 1, 0.85 - torch.hypot(x - 0.55, y))


OUTLINES = (_disk, _ring, _square, _triangle, _cross, _star, _crescent)  # distance in radii, in the order of SHAPES


def _textures(count: int, size: int, draws: Generator, hints: Tensor | None = None) -> Tensor:
    """Draw textures of two colors: smooth noise, stripes, checks, dots. hints [B, 3] -> [B, 3, S, S] from 0 to 255."""
    first, second = 255 * torch.rand(2, count, 3, 1, 1, generator=draws)
    if hints is not None:
        first = torch.lerp(first, hints[..., None, None], HINT)
    low, high = CONTRASTS
    second = torch.lerp(first, second, low + (high - low) * torch.rand(count, 1, 1, 1, generator=draws))
    waves, across = _waves(count, size, draws)
    smooth = F.interpolate(torch.rand(count, 1, 6, 6, generator=draws), (size, size), mode="bilinear")[:, 0]
    patterns = torch.stack([smooth, (waves > 0).float(), (waves * across > 0).float(), (waves + across > 1).float()])
    chosen = patterns[torch.randint(len(patterns), (count,), generator=draws), torch.arange(count)]
    return torch.lerp(first, second, chosen[:, None])


def _waves(count: int, size: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Draw two sine waves that cross each other, 3 to 10 periods a side. -> [B, S, S] each."""
    angle, phase, periods = torch.rand(3, count, 1, 1, generator=draws)
    places = torch.arange(size) / size
    down, along = places[:, None], places
    angle, periods = torch.pi * angle, 2 * torch.pi * (3 + 7 * periods)
    x, y = angle.cos() * along + angle.sin() * down, angle.cos() * down - angle.sin() * along
    return (periods * x + 2 * torch.pi * phase).sin(), (periods * y).sin()


def _lit(images: Tensor, draws: Generator) -> Tensor:
    """Light from one side, by up to a third. [B, 3, S, S] -> the same."""
    tilt = (torch.rand(2, len(images), 1, 1, 1, generator=draws) - 0.5) * 2 / 3
    places = torch.linspace(-1, 1, images.shape[-1])
    return images * (1 + (tilt[0] * places[:, None] + tilt[1] * places) / 2)
