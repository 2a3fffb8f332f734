"""Exchange of random patches between the images of a batch and further images of their classes."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from selfdistill.data.batch import Batch
from selfdistill.inputs import positional_tensor, replace_tensor


@dataclass(frozen=True)
class CellExchange:
    """Exchange patches of each image with its partner in `extra["peer"]`; labels are whole, since classes are equal.

    The cells of a grid of `grid` a side are exchanged with a probability of `share` each. `extra["swapped"]` tells
    where, and a batch that has it stays as it is.
    """

    grid: int
    share: float
    images: ClassVar[int] = 2  # to which the patches of one belong

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """Exchange random patches; intervals of a signal. Raises `UserError` for inputs without positions."""
        own = positional_tensor(batch.inputs, "exchanged patches need", dims=1)
        if "peer" not in batch.extra or "swapped" in batch.extra:
            return batch
        peer = positional_tensor(batch.extra["peer"], "exchanged patches need", dims=1)
        swapped = self.draw(own, generator)
        others = replace_tensor(batch.extra["peer"], peer, torch.where(swapped, own, peer))
        inputs = replace_tensor(batch.inputs, own, torch.where(swapped, peer, own))
        return batch._replace(inputs=inputs, extra={**batch.extra, "peer": others, "swapped": swapped})

    def draw(self, images: Tensor, generator: Generator) -> Tensor:
        """Draw the places to exchange. [B, C, *sides] -> [B, 1, *sides] bool."""
        rows, _, *sides = images.shape
        cells = torch.rand(rows, 1, *[self.grid] * len(sides), generator=generator) < self.share
        for dim, side in enumerate(sides, 2):
            cells = cells.index_select(dim, torch.arange(side) * self.grid // side)
        return cells.to(images.device, non_blocking=True)
