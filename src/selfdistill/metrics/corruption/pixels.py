"""Conversion between uint8 pixels and floats from 0 to 1."""

from torch import Tensor


def to_unit_range(images: Tensor) -> Tensor:
    """Convert pixels to the range 0 to 1. uint8 -> float32."""
    return images.float() / 255


def to_uint8(values: Tensor) -> Tensor:
    """Convert values from 0 to 1 to pixels, clamped and truncated as in the published images. float32 -> uint8."""
    return (values.clamp(0, 1) * 255 + 1e-3).byte()  # the addend keeps whole numbers whole


def scale(images: Tensor) -> float:
    """Ratio of the image size to 32 pixels."""
    return images.shape[-1] / 32
