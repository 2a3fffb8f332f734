"""Batches from decoded images: order, augmentation and mixing, each from a random stream of its own."""

import zlib
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from selfdistill.data.augment import Augmentation
from selfdistill.data.images import Images
from selfdistill.errors import UserError
from selfdistill.mixing import Mixing, mix_batch
from selfdistill.terms import Batch, Mix


class Loader:
    """Training batches of `batch_size` rows over all ranks, each epoch in a new order.

    Whatever a method asks for, the order and the augmentation at one seed stay the same; they are drawn
    for the batch of all ranks and cut. Mixing is drawn within a rank. The last short batch is dropped,
    unless it is the only one.
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
            raise UserError(f"a batch of {batch_size} cannot be shared out evenly among {ranks} processes")
        if len(images) < ranks:
            raise UserError(f"{len(images)} training images are fewer than the {ranks} processes; start fewer")
        self.images, self.labels = images.images.to(device), images.labels.to(device)
        self.batch_size, self.drop_last = min(batch_size, len(images) // ranks * ranks), drop_last
        self.augment, self.mixing, self.seed = augment, mixing, seed
        self.rank, self.ranks, self.device = rank, ranks, device

    def __len__(self) -> int:
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from step `start` on; equal to those of any other call with its number."""
        order = torch.randperm(len(self.labels), generator=self._stream("order", number))
        augment, mix = self._stream("augment", number), self._stream(f"mix{self.rank}", number)
        for step in range(len(self)):
            index = order[step * self.batch_size : (step + 1) * self.batch_size]
            batch = self._batch(index, augment, mix, skip=step < start)
            if batch is not None:
                yield batch

    def _batch(self, index: Tensor, augment: Generator, mix: Generator, skip: bool) -> Batch | None:
        """Give this rank's rows of a batch; one that is skipped makes its draws all the same."""
        share = len(index) // self.ranks
        own = slice(self.rank * share, (self.rank + 1) * share)
        draw = self.augment.draw(len(index), augment)
        mixed = self.mixing.draw(share, mix) if self.mixing else None
        if skip:
            return None
        rows = index[own].to(self.device)
        images = self.augment(self.images[rows], draw.rows(own))
        batch = Batch(images, self.labels[rows], rows)
        if self.mixing is None or mixed is None:
            return batch
        return mix_batch(batch, Mix(*(each.to(self.device) for each in mixed)), self.mixing.clean)

    def _stream(self, name: str, epoch: int) -> Generator:
        """The generator of one kind of draw in one epoch."""
        return Generator().manual_seed(zlib.crc32(f"{self.seed}:{name}:{epoch}".encode()))


def batches(
    images: Images, batch_size: int, augment: Augmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """All images in order, normalised only, the last short batch too; for evaluation."""
    for start in range(0, len(images), batch_size):
        rows = torch.arange(start, min(start + batch_size, len(images)))
        shown = augment.normalise(images.images[rows].to(device))
        yield Batch(shown, images.labels[rows].to(device), rows.to(device))
