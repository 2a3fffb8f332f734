"""Snapshots of buffers and frozen parameters, which a step changes outside the optimizer."""

from collections.abc import Iterable
from itertools import groupby

import torch
from torch import Tensor


class BufferSnapshot:
    """Running statistics, averages and copied weights, which can be restored without a host sync.

    The tensors of one dtype are concatenated: a snapshot takes a few kernels instead of a few per tensor.
    """

    def __init__(self, tensors: Iterable[Tensor]):
        ordered = sorted(tensors, key=lambda each: str(each.dtype))
        self.groups = [list(group) for _, group in groupby(ordered, key=lambda each: each.dtype)]

    @torch.no_grad()
    def copy(self) -> list[Tensor]:
        """Copy the values, one flat tensor for each dtype."""
        return [torch.cat([each.reshape(-1) for each in group]) for group in self.groups]

    @torch.no_grad()
    def restore_unless(self, taken: Tensor, copies: list[Tensor]) -> None:
        """Restore the copied values if `taken` [] is false."""
        self.restore([torch.where(taken, new, old) for new, old in zip(self.copy(), copies, strict=True)])

    @torch.no_grad()
    def restore(self, copies: list[Tensor]) -> None:
        """Restore the copied values."""
        for group, old in zip(self.groups, copies, strict=True):
            values = old.split([each.numel() for each in group])
            for each, own in zip(group, values, strict=True):
                each.copy_(own.view(each.shape))
