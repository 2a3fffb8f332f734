"""Weather corruptions. images [B, 3, H, W] uint8 -> same, severity 1 to 5."""

import torch
from torch import Generator, Tensor

from selfdistill.metrics.corruption.filters import directional_blur, zoom_in
from selfdistill.metrics.corruption.pixels import scale, to_uint8, to_unit_range

GREY = (0.299, 0.587, 0.114)


def fog(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Blend each image with a random cloud."""
    amount, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    values, size = to_unit_range(images), images.shape[-1]
    brightest = values.amax(dim=(1, 2, 3), keepdim=True)
    cloud = plasma(len(images), size, decay, generator).to(images.device)
    return to_uint8((values + amount * cloud[:, None]) * brightest / (brightest + amount))


def snow(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Whiten the image and overlay motion-blurred snowflakes."""
    mean, spread, zoom, least, radius, sigma, kept = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    values, (count, _, height, width) = to_unit_range(images), images.shape
    flakes = zoom_in(mean + spread * torch.randn(count, 1, height, width, generator=generator), zoom)
    flakes = to_unit_range(to_uint8(flakes.where(flakes >= least, 0)))
    angles = torch.rand(count, generator=generator) * 90 - 135
    fallen = directional_blur(flakes, radius * scale(images), sigma * scale(images), angles).to(images.device)
    grey = (values * values.new_tensor(GREY)[:, None, None]).sum(dim=1, keepdim=True)
    white = kept * values + (1 - kept) * torch.maximum(values, grey * 1.5 + 0.5)
    return to_uint8(white + fallen + fallen.rot90(2, (2, 3)))


def brightness(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Raise HSV value; hue and saturation stay."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    values = to_unit_range(images)
    value = values.amax(dim=1, keepdim=True)
    wanted = (value + more).clamp(max=1)
    return to_uint8(torch.where(value > 0, values * wanted / value.clamp(min=1e-6), wanted))


def plasma(count: int, size: int, decay: float, generator: Generator) -> Tensor:
    """Generate clouds by the diamond-square algorithm, from 0 to 1. -> [count, size, size]."""
    step = 1 << max(size - 1, 1).bit_length()  # the power of two that holds the image
    cloud, wibble = torch.zeros(count, step, step), 100.0

    def near(total: Tensor) -> Tensor:
        """Mean of four corners, plus noise."""
        return total / 4 + wibble**2 * (torch.rand(total.shape, generator=generator) * 2 - 1)

    while step >= 2:
        half = step // 2
        corners = cloud[:, ::step, ::step].clone()
        beside, below = corners + corners.roll(-1, 2), corners + corners.roll(-1, 1)
        middles = near(beside + beside.roll(-1, 1))
        cloud[:, half::step, half::step] = middles
        cloud[:, ::step, half::step] = near(beside + middles + middles.roll(1, 1))
        cloud[:, half::step, ::step] = near(below + middles + middles.roll(1, 2))
        step, wibble = half, wibble / decay
    least, most = cloud.amin(dim=(1, 2), keepdim=True), cloud.amax(dim=(1, 2), keepdim=True)
    return ((cloud - least) / (most - least))[:, :size, :size]
