"""Noise. images [B, 3, H, W] uint8 -> the same, a severity from 1 to 5."""

import torch
from torch import Generator, Tensor

from selfdistill.metrics.corruption.pixels import stored, unit


def gaussian_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Normal noise on every value."""
    strength = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return stored(unit(images) + strength * _normal(images, generator))


def shot_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Counts of so many photons."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    counts = torch.poisson(unit(images.cpu()) * photons, generator)
    return stored(counts / photons).to(images.device)


def impulse_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """A share of the values is 0 or 1 instead."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    hit, salt = torch.rand(2, *images.shape, generator=generator).to(images.device)
    return stored(torch.where(hit <= share, (salt < 0.5).float(), unit(images)))


def speckle_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Normal noise in proportion to the value."""
    strength = (0.06, 0.1, 0.12, 0.16, 0.2)[severity - 1]
    values = unit(images)
    return stored(values + values * strength * _normal(images, generator))


def _normal(images: Tensor, generator: Generator) -> Tensor:
    return torch.randn(images.shape, generator=generator).to(images.device)
