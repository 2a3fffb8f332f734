"""Channels and bits of the pixels that image files are read to."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike

BYTE, WORD = 8, 16  # bits
GREY, RGB = 1, 3  # channels


class PixelFormat(NamedTuple):
    """Number of channels, and bits of each: 8, or 16 as int32, since torch computes little with uint16.

    >>> PixelFormat(bits=16).largest
    65535
    """

    channels: int = RGB
    bits: int = BYTE

    @property
    def largest(self) -> int:
        """Largest value of a pixel."""
        return int(2**self.bits - 1)

    @property
    def is_shown(self) -> bool:
        """Return whether files are read as a viewer shows them: 8 bits, in colors or grey."""
        return self.bits == BYTE and self.channels in (GREY, RGB)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels in memory."""
        return torch.uint8 if self.bits == BYTE else torch.int32

    @property
    def numpy_dtype(self) -> DTypeLike:
        """Type of the pixels in an array of NumPy."""
        return np.uint8 if self.bits == BYTE else np.int32

    @property
    def bytes(self) -> int:
        """Bytes of a pixel in memory."""
        return self.channels * self.dtype.itemsize


def largest_value(dtype: torch.dtype) -> int:
    """Return the largest value of pixels of a type.

    >>> largest_value(torch.uint8)
    255
    """
    return PixelFormat(bits=BYTE if dtype == torch.uint8 else WORD).largest
