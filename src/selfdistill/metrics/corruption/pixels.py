"""Pixels from 0 to 1, and back."""

from torch import Tensor


def unit(images: Tensor) -> Tensor:
    """Pixels from 0 to 1. uint8 -> float32."""
    return images.float() / 255


def stored(values: Tensor) -> Tensor:
    """Values from 0 to 1 as pixels, cut off and truncated as the published images are. float32 -> uint8."""
    return (values.clamp(0, 1) * 255 + 1e-3).byte()  # the addend keeps whole numbers whole


def scale(images: Tensor) -> float:
    """How many pixels one pixel of a 32-pixel image is, in images of this size."""
    return images.shape[-1] / 32
