"""Blur corruptions. images [B, 3, H, W] uint8 -> same, severity 1 to 5; lengths scale with the image size."""

import math

import numpy as np
import torch
from torch import Generator, Tensor

from selfdistill.metrics.corruption.filters import (
    convolve,
    directional_blur,
    gaussian_kernel,
    reflect,
    replicate,
    smooth,
    zoom_in,
)
from selfdistill.metrics.corruption.pixels import scale, to_uint8, to_unit_range


def gaussian_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Apply a Gaussian blur."""
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    return to_uint8(smooth(to_unit_range(images), sigma * scale(images)))


def defocus_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Convolve with an anti-aliased disk."""
    radius, alias = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    kernel = disk(radius * scale(images), alias * scale(images))
    return to_uint8(convolve(to_unit_range(images), kernel, reflect))


def glass_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Scatter pixels from neighbors above and to the left, between two Gaussian blurs.

    The published program intends to swap neighbors, but swapping two views copies; this reproduces it.
    """
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    sigma, reach = sigma * scale(images), max(round(scale(images)), 1)
    pixels = to_uint8(smooth(to_unit_range(images), sigma))
    for _ in range(rounds):
        pixels = _scatter(pixels, reach, generator)
    return to_uint8(smooth(to_unit_range(pixels), sigma))


def motion_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Apply a one-sided Gaussian along a random angle for each image."""
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angles = torch.rand(len(images), generator=generator) * 90 - 45
    return to_uint8(directional_blur(to_unit_range(images), radius * scale(images), sigma * scale(images), angles))


def zoom_blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Average the image with its zoomed versions."""
    factors = np.arange(1, (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1], 0.01).tolist()
    values = to_unit_range(images)
    return to_uint8(sum((zoom_in(values, factor) for factor in factors), values) / (len(factors) + 1))


def disk(radius: float, alias: float) -> Tensor:
    """Disk kernel of sum 1, anti-aliased by a Gaussian of 3x3 pixels. -> [K, K]."""
    reach = math.floor(radius) + 1  # the Gaussian's reach
    square = torch.arange(-reach, reach + 1) ** 2
    flat = (square[:, None] + square <= radius**2).float()
    edge = gaussian_kernel(alias, 1)
    return convolve((flat / flat.sum())[None, None], edge[:, None] * edge, replicate)[0, 0]


def _scatter(pixels: Tensor, reach: int, generator: Generator) -> Tensor:
    """Replace each pixel away from the border by one at most `reach` above and to the left."""
    count, _, size, _ = pixels.shape
    first, inner = reach + 1, max(size - 2 * reach, 0)
    up, left = torch.randint(-reach, 1, (2, count, inner, inner), generator=generator).to(pixels.device)
    place = torch.arange(first, first + inner, device=pixels.device)
    b = torch.arange(count, device=pixels.device)[:, None, None]
    out = pixels.movedim(1, -1).clone()
    out[:, first:, first:][:, :inner, :inner] = pixels.movedim(1, -1)[b, place[:, None] + up, place + left]
    return out.movedim(-1, 1)
