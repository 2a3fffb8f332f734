"""Noise corruptions. images [B, 3, H, W] uint8 -> same, severity 1 to 5."""

import torch
from torch import Generator, Tensor

from selfdistill.metrics.corruption.pixels import to_uint8, to_unit_range


def gaussian_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Add Gaussian noise."""
    strength = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return to_uint8(to_unit_range(images) + strength * _gaussian(images, generator))


def shot_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Add Poisson (shot) noise of a photon count."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    counts = torch.poisson(to_unit_range(images.cpu()) * photons, generator)
    return to_uint8(counts / photons).to(images.device)


def impulse_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Set a fraction of the values to 0 or 1 (salt and pepper)."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    hit, salt = torch.rand(2, *images.shape, generator=generator).to(images.device)
    return to_uint8(torch.where(hit <= share, (salt < 0.5).float(), to_unit_range(images)))


def speckle_noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Add Gaussian noise in proportion to the value."""
    strength = (0.06, 0.1, 0.12, 0.16, 0.2)[severity - 1]
    values = to_unit_range(images)
    return to_uint8(values + values * strength * _gaussian(images, generator))


def _gaussian(images: Tensor, generator: Generator) -> Tensor:
    return torch.randn(images.shape, generator=generator).to(images.device)
