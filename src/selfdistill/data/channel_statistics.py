"""Mean and standard deviation of color channels, exact, from counts of the values."""

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

LEVELS = 256  # values of 8 bits


def channel_histogram(blocks: Iterable[Tensor], levels: int = LEVELS) -> Tensor:
    """Share of each value below `levels` in each channel. Blocks [B, C, H, W] -> [C, levels] float64.

    >>> channel_histogram([torch.zeros(1, 3, 2, 2, dtype=torch.uint8)])[:, 0]
    tensor([1., 1., 1.], dtype=torch.float64)
    """
    counts = torch.zeros((), dtype=torch.long)
    for block in blocks:
        counts = counts + torch.stack(
            [torch.bincount(each.flatten(), minlength=levels) for each in block.unbind(dim=1)]
        )
    return counts.double() / counts.sum(dim=1, keepdim=True)


def channel_mean(histogram: Tensor) -> tuple[float, ...]:
    """Mean of each channel, from 0 to 1. [C, levels].

    >>> channel_mean(channel_histogram([torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)]))
    (1.0, 1.0, 1.0)
    """
    return tuple((histogram @ _values(histogram) / _largest(histogram)).tolist())


def channel_std(histogram: Tensor) -> tuple[float, ...]:
    """Standard deviation of each channel, from 0 to 1; never 0. [C, levels].

    >>> channel_std(channel_histogram([torch.zeros(1, 3, 2, 2, dtype=torch.uint8)]))
    (0.001, 0.001, 0.001)
    """
    values, least = _values(histogram), 1e-3 * LEVELS / histogram.shape[1]
    variance = histogram @ values**2 - (histogram @ values) ** 2
    return tuple((variance.clamp(min=0).sqrt() / _largest(histogram)).clamp(min=least).tolist())


def _values(histogram: Tensor) -> Tensor:
    return torch.arange(histogram.shape[1], dtype=torch.float64)


def _largest(histogram: Tensor) -> int:
    return histogram.shape[1] - 1


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
        """Normalized histogram of each channel's values. [C, levels]."""
        raise NotImplementedError
