"""Snapshots of buffers and frozen parameters, which a step changes outside the optimizer."""

from collections.abc import Iterable
from itertools import groupby

import torch
from torch import Tensor


class BufferSnapshot:
    """Running statistics, averages, copies: they can go back to where they were, on the device's own word.

    The tensors of a dtype are handled as one, so that this costs a few operations and not a few for each.
    """

    def __init__(self, tensors: Iterable[Tensor]):
        ordered = sorted(tensors, key=lambda each: str(each.dtype))
        self.groups = [list(group) for _, group in groupby(ordered, key=lambda each: each.dtype)]

    @torch.no_grad()
    def copied(self) -> list[Tensor]:
        """Copy all of them."""
        return [torch.cat([each.reshape(-1) for each in group]) for group in self.groups]

    @torch.no_grad()
    def keep(self, copies: list[Tensor], sound: Tensor) -> None:
        """Leave all as they are where `sound` [] is true, and else as they were when copied."""
        self.put([torch.where(sound, new, old) for new, old in zip(self.copied(), copies, strict=True)])

    @torch.no_grad()
    def put(self, copies: list[Tensor]) -> None:
        """Bring all to where they were when copied."""
        for group, old in zip(self.groups, copies, strict=True):
            values = old.split([each.numel() for each in group])
            for each, own in zip(group, values, strict=True):
                each.copy_(own.view(each.shape))
