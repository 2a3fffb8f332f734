"""Resizing of decoded images, and the memory that they need."""

import os

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.errors import UserError

BLOCK = 1024  # images resized at once, so that their float copies stay small


def resize(images: Tensor, size: int | None) -> Tensor:
    """Resize square images bilinearly; None keeps the size. [N, 3, H, H] uint8 -> [N, 3, S, S] uint8.

    >>> resize(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 4).shape
    torch.Size([2, 3, 4, 4])
    """
    if size is None or size == images.shape[-1]:
        return images
    require_memory(len(images), size)
    return torch.cat([_resize_block(block, size) for block in torch.split(images, BLOCK)])


def _resize_block(images: Tensor, size: int) -> Tensor:
    smooth = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return smooth.round().clamp(0, 255).to(torch.uint8)


def require_memory(count: int, size: int, pixel_bytes: int = 3) -> None:
    """Raise `UserError` if `count` images of this size would fill more than half of the machine's memory."""
    needed, there = count * pixel_bytes * size * size, physical_memory()
    if needed > there / 2:
        raise UserError(
            f"{count} images of {size}x{size} pixels need {needed / 2**30:.1f} GiB, more than half of this "
            f"machine's {there / 2**30:.1f}; pass a smaller --size, or --limit"
        )


def physical_memory() -> float:
    """Physical memory of this machine in bytes; infinite if unknown."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
