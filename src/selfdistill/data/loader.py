"""Batches from decoded images: order, augmentation and mixing, each from a random stream of its own."""

from collections.abc import Iterator

import torch
from torch import Tensor

from selfdistill.data.augment import Augmentation, Draw
from selfdistill.data.images import Images
from selfdistill.data.stream import stream
from selfdistill.errors import UserError
from selfdistill.mixing import Mixing, mix_batch
from selfdistill.terms import Batch, Mix


class Loader:
    """Training batches of `batch_size` rows over all ranks, each epoch in a new order.

    Whatever a method asks for, order and augmentation at one seed stay the same: they are drawn for the
    batch of all ranks and cut. Mixing is drawn within each rank's part. Every step of every epoch can be
    made anew, so a resumed run needs no state of the loader. The last short batch is dropped, unless it
    is the only one. Raises `UserError` where the ranks do not divide the batch.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        *,
        augment: Augmentation,
        mixing: Mixing | None = None,
        seed: int = 0,
        drop_last: bool = True,
        rank: int = 0,
        ranks: int = 1,
        device: torch.device | str = "cpu",
    ):
        if batch_size < 1 or batch_size % ranks:
            raise UserError(
                f"a batch of {batch_size} cannot be shared out evenly among {ranks} process(es); "
                f"take a multiple of {ranks}"
            )
        if len(images) < ranks:
            raise UserError(f"{len(images)} training images are too few for {ranks} processes; start fewer")
        self.images, self.labels = images.images.to(device), images.labels.to(device)
        self.batch_size, self.drop_last = min(batch_size, len(images) // ranks * ranks), drop_last
        self.augment, self.mixing, self.seed = augment, mixing, seed
        self.rank, self.ranks, self.device = rank, ranks, device

    def __len__(self) -> int:
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest >= self.ranks and not self.drop_last)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `start` on, the same at every call."""
        order = torch.randperm(len(self.labels), generator=stream(self.seed, "order", number))
        draws = self.augment.draw(len(order), stream(self.seed, "augment", number))
        order, draws = order.to(self.device), draws.to(self.device)  # once an epoch, not once a step
        for step in range(start, len(self)):
            rows = self._share(step)
            yield self._mixed(self._batch(order[rows], draws.rows(rows)), number, step)

    def _share(self, step: int) -> slice:
        """Where in the epoch's order this rank's rows of a step stand."""
        first = step * self.batch_size
        share = min(self.batch_size, len(self.labels) - first) // self.ranks
        return slice(first + self.rank * share, first + (self.rank + 1) * share)

    def _batch(self, index: Tensor, draw: Draw) -> Batch:
        return Batch(self.augment(self.images[index], draw), self.labels[index], index)

    def _mixed(self, batch: Batch, epoch: int, step: int) -> Batch:
        if self.mixing is None:
            return batch
        mix = self.mixing.draw(len(batch.labels), stream(self.seed, "mix", epoch, step, self.rank))
        return mix_batch(batch, Mix(*(each.to(self.device) for each in mix)), self.mixing.clean)


def batches(
    images: Images, batch_size: int, augment: Augmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """All images in order, normalised only, the last short batch too; for evaluation."""
    for start in range(0, len(images), batch_size):
        rows = torch.arange(start, min(start + batch_size, len(images)))
        shown = augment.normalise(images.images[rows].to(device))
        yield Batch(shown, images.labels[rows].to(device), rows.to(device))
