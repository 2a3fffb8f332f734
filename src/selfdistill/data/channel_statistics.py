"""Mean and standard deviation of color channels, exact, from counts of the 256 values."""

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

VALUES = torch.arange(256, dtype=torch.float64)


def channel_histogram(blocks: Iterable[Tensor]) -> Tensor:
    """Share of each value in each channel. Blocks [B, C, H, W] uint8 -> [C, 256] float64.

    >>> channel_histogram([torch.zeros(1, 3, 2, 2, dtype=torch.uint8)])[:, 0]
    tensor([1., 1., 1.], dtype=torch.float64)
    """
    counts = torch.zeros((), dtype=torch.long)
    for block in blocks:
        counts = counts + torch.stack([torch.bincount(each.flatten(), minlength=256) for each in block.unbind(dim=1)])
    return counts.double() / counts.sum(dim=1, keepdim=True)


def channel_mean(histogram: Tensor) -> tuple[float, ...]:
    """Mean of each channel, from 0 to 1. [3, 256].

    >>> channel_mean(channel_histogram([torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)]))
    (1.0, 1.0, 1.0)
    """
    return tuple((histogram @ VALUES / 255).tolist())


def channel_std(histogram: Tensor) -> tuple[float, ...]:
    """Standard deviation of each channel, from 0 to 1; never 0. [3, 256].

    >>> channel_std(channel_histogram([torch.zeros(1, 3, 2, 2, dtype=torch.uint8)]))
    (0.001, 0.001, 0.001)
    """
    variance = histogram @ VALUES**2 - (histogram @ VALUES) ** 2
    return tuple((variance.clamp(min=0).sqrt() / 255).clamp(min=1e-3).tolist())


class ChannelStatistics:
    """Mean and standard deviation of pixels by channel, of a data set that has a histogram of its training images."""

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel over a sample of the training images, from 0 to 1."""
        return channel_mean(self._histogram)

    @cached_property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel over the same images, from 0 to 1; never 0."""
        return channel_std(self._histogram)

    @cached_property
    def _histogram(self) -> Tensor:
        """Normalized histogram of each channel's values. [3, 256]."""
        raise NotImplementedError
