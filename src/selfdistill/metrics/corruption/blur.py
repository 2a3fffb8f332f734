"""Blurs. images [B, 3, H, W] uint8 -> the same, a severity from 1 to 5; lengths grow with the image's size."""

import math

import numpy as np
import torch
from torch import Generator, Tensor

from selfdistill.metrics.corruption.filters import bell, convolved, dragged, mirrored, repeated, smoothed, zoomed
from selfdistill.metrics.corruption.pixels import scale, stored, unit


def gaussian_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """A Gaussian."""
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    return stored(smoothed(unit(images), sigma * scale(images)))


def defocus_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """A disc whose edge is softened."""
    radius, alias = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    kernel = disc(radius * scale(images), alias * scale(images))
    return stored(convolved(unit(images), kernel, mirrored))


def glass_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Pixels read from their neighbours above and to the left, between two Gaussians.

    The published program means to swap neighbours, but its swap of two views copies; so does this.
    """
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    sigma, reach = sigma * scale(images), max(round(scale(images)), 1)
    pixels = stored(smoothed(unit(images), sigma))
    for _ in range(rounds):
        pixels = _scattered(pixels, reach, generator)
    return stored(smoothed(unit(pixels), sigma))


def motion_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """A Gaussian to one side, at an angle of its own for each image."""
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angles = torch.rand(len(images), generator=generator) * 90 - 45
    return stored(dragged(unit(images), radius * scale(images), sigma * scale(images), angles))


def zoom_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """The mean of the image and what the eye sees on its way into it."""
    factors = np.arange(1, (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1], 0.01).tolist()
    values = unit(images)
    return stored(sum((zoomed(values, factor) for factor in factors), values) / (len(factors) + 1))


def disc(radius: float, alias: float) -> Tensor:
    """A disc of sum 1, softened by a Gaussian of 3x3 pixels. -> [K, K]."""
    reach = math.floor(radius) + 1  # the Gaussian's reach
    square = torch.arange(-reach, reach + 1) ** 2
    flat = (square[:, None] + square <= radius**2).float()
    edge = bell(alias, 1)
    return convolved((flat / flat.sum())[None, None], edge[:, None] * edge, repeated)[0, 0]


def _scattered(pixels: Tensor, reach: int, generator: Generator) -> Tensor:
    """Each pixel but those near an edge replaced by one at most `reach` above and to the left."""
    count, _, size, _ = pixels.shape
    first, inner = reach + 1, max(size - 2 * reach, 0)
    up, left = torch.randint(-reach, 1, (2, count, inner, inner), generator=generator).to(pixels.device)
    place = torch.arange(first, first + inner, device=pixels.device)
    b = torch.arange(count, device=pixels.device)[:, None, None]
    out = pixels.movedim(1, -1).clone()
    out[:, first:, first:][:, :inner, :inner] = pixels.movedim(1, -1)[b, place[:, None] + up, place + left]
    return out.movedim(-1, 1)
