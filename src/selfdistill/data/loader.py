"""Batches of images: order, augmentation and mixing, each from a random stream of its own."""

import functools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from selfdistill.data.augment import Augmentation, Draw
from selfdistill.data.batch import Batch
from selfdistill.data.class_index import ClassIndex
from selfdistill.data.images import AHEAD, Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.requirements import ClassGroups, ExtraAugmentation, Need, Negatives, SameClassImage
from selfdistill.errors import UserError
from selfdistill.rng import make_generator


class Loader:
    """Training batches of `batch_size` rows over all ranks, each epoch in a new order.

    Whatever a method asks for, order and augmentation at one seed stay the same: they are drawn for the
    batch of all ranks and cut. Mixing, erasing and negatives are drawn within each rank's part. Every step of
    every epoch can be made anew, so a resumed run needs no state of the loader. The last short batch is
    dropped, unless it is the only one. Raises `UserError` where the ranks do not divide the batch, or the
    data cannot bring what is asked.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        *,
        augment: Augmentation,
        mixing: Mixing | None = None,
        erasing: Erasing | None = None,
        needs: Mapping[str, Need] | None = None,
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
        self.augment, self.mixing, self.erasing, self.seed = augment, mixing, erasing, seed
        self.needs = dict(needs or {})
        self.rank, self.ranks, self.device = rank, ranks, device
        self.classmates = ClassIndex(images.labels)
        self._order = functools.lru_cache(2)(self._draw_order)  # drawn once an epoch, not once a step
        self._there = functools.lru_cache(2)(self._order_there)
        self._draws = functools.lru_cache(8)(self._draw_augmentation)
        self._peers = functools.lru_cache(2)(self._draw_peers)
        _require_whole_groups(self.needs.get("order"), self.batch_size // ranks)
        self._order(0), self._extra(0, 0)  # what cannot be brought is said before the first step

    def __len__(self) -> int:
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest >= self.ranks and not self.drop_last)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `start` on, the same at every call."""
        order = self._there(number)
        for step in range(start, len(self)):
            self._expect(number, step)
            index = order[self._share(step)].to(self.device)
            batch = Batch(self._shown(order, number, step, "augment"), self.labels[index], index)
            yield self._altered(batch._replace(extra=self._extra(number, step)), number, step)

    def _draw_order(self, epoch: int) -> Tensor:
        """The rows of an epoch in their order. -> [N]; where groups are asked for, each as long as the other."""
        draws = make_generator(self.seed, "order", epoch)
        order = torch.randperm(len(self.labels), generator=draws)
        match self.needs.get("order"):
            case ClassGroups(others):
                anchors = order[: -(-len(order) // (1 + others))]
                order = self.classmates.groups(anchors, others, draws).flatten()[: len(order)]
        return order

    def _order_there(self, epoch: int) -> Tensor:
        """The order of an epoch beside its images: a copy to a device at every step would wait for it."""
        return self._order(epoch).to(self.images.device)

    def _expect(self, epoch: int, step: int) -> None:
        """Have images that are not decoded yet decoded for the next steps while this one trains."""
        if not isinstance(self.images, LazyImages):
            return
        for ahead in range(step, step + 1 + AHEAD):
            later, place = (epoch, ahead) if ahead < len(self) else (epoch + 1, ahead - len(self))
            rows = self._share(place)
            self.images.prefetch(self._order(later)[rows])
            match self.needs.get("peer"):
                case SameClassImage(itself):
                    self.images.prefetch(self._peers(later, itself)[rows])

    def _draw_augmentation(self, epoch: int, of: str) -> Draw:
        return self.augment.draw(len(self.labels), make_generator(self.seed, of, epoch)).to(self.device)

    def _draw_peers(self, epoch: int, itself: bool) -> Tensor:
        drawn = self.classmates.peers(self._order(epoch), make_generator(self.seed, "peer", epoch), itself)
        return drawn.to(self.images.device)

    def _share(self, step: int) -> slice:
        """Where in the epoch's order this rank's rows of a step stand."""
        first = step * self.batch_size
        share = min(self.batch_size, len(self.labels) - first) // self.ranks
        return slice(first + self.rank * share, first + (self.rank + 1) * share)

    def _extra(self, epoch: int, step: int) -> dict[str, Tensor]:
        """What the method asked for beside the batch's images."""
        extra: dict[str, Tensor] = {}
        for key, need in self.needs.items():
            match key, need:
                case "peer", SameClassImage(itself):
                    extra["peer"] = self._shown(self._peers(epoch, itself), epoch, step, "peer")
                case "twin", ExtraAugmentation():
                    extra |= {name: self._shown(self._there(epoch), epoch, step, name) for name in need.names}
                case "last", _:
                    extra["last"], extra["last_labels"] = self._last(epoch, step)
                case "negatives", Negatives(count):
                    rows = self._order(epoch)[self._share(step)]
                    draws = make_generator(self.seed, "negatives", epoch, step, self.rank)
                    extra["negatives"] = self.classmates.negatives(rows, count, draws).to(
                        self.device, non_blocking=True
                    )
        return extra

    def _shown(self, order: Tensor, epoch: int, step: int, stream_of: str) -> Tensor:
        """Give this rank's images of a step in an order of the epoch, augmented by draws of their own."""
        rows = self._share(step)
        images = self.images[order[rows]].to(self.device, non_blocking=True)  # of decoded ones they are there
        return self.augment(images, self._draws(epoch, stream_of).rows(rows))

    def _last(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The batch before, augmented once more, and its labels; at the first step of all its own."""
        if step > 0:
            step = step - 1
        elif epoch > 0:
            epoch, step = epoch - 1, len(self) - 1
        order = self._there(epoch)
        return self._shown(order, epoch, step, "last"), self.labels[order[self._share(step)].to(self.device)]

    def _altered(self, batch: Batch, epoch: int, step: int) -> Batch:
        """The batch erased and mixed as asked."""
        if self.erasing is not None:
            batch = self.erasing(batch, make_generator(self.seed, "erase", epoch, step, self.rank))
        if self.mixing is None:
            return batch
        return self.mixing(batch, make_generator(self.seed, "mix", epoch, step, self.rank))


def _require_whole_groups(order: Need | None, rows: int) -> None:
    match order:
        case ClassGroups(others) if rows % (1 + others):
            raise UserError(
                f"groups of {1 + others} images do not fill a batch of {rows} rows; "
                f"take a --batch-size that {1 + others} divides"
            )


def batches(
    images: Images, batch_size: int, augment: Augmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """All images in order, normalised only, the last short batch too; for evaluation."""
    for rows in images.blocks(batch_size):
        shown = augment.normalize(images.images[rows].to(device))
        yield Batch(shown, images.labels[rows].to(device), rows.to(device))
