"""Training loader: order, augmentation and mixing, each with its own random stream."""

import functools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from selfdistill.data.augment import Augmentation, AugmentParams
from selfdistill.data.batch import Batch
from selfdistill.data.class_index import ClassIndex
from selfdistill.data.images import PREFETCH, Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.rank_batches import fitting_batch_size, rank_slice
from selfdistill.data.requirements import ClassGroups, ExtraAugmentation, Need, Negatives, SameClassImage
from selfdistill.errors import UserError
from selfdistill.rng import make_generator


class Loader:
    """Training batches of `batch_size` rows over all ranks, in a new order each epoch.

    Order and augmentation depend only on the seed, not on the method or the number of ranks: they are drawn for
    the global batch and split. Mixing, erasing and negatives are drawn per rank. Every step of every epoch can be
    recomputed, so resuming needs no loader state. The last incomplete batch is dropped, unless it is the only
    one. Raises `UserError` if the batch size is not a multiple of `ranks`, or the data does not meet `needs`.
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
        self.images, self.labels = images.images.to(device), images.labels.to(device)
        self.batch_size, self.drop_last = fitting_batch_size(batch_size, len(images), ranks), drop_last
        self.augment, self.mixing, self.erasing, self.seed = augment, mixing, erasing, seed
        self.needs = dict(needs or {})
        self.rank, self.ranks, self.device = rank, ranks, device
        self.class_index = ClassIndex(images.labels)
        self._order = functools.lru_cache(2)(self._draw_order)  # drawn once an epoch, not once a step
        self._device_order = functools.lru_cache(2)(self._order_on_device)
        self._params = functools.lru_cache(8)(self._draw_params)
        self._peers = functools.lru_cache(2)(self._draw_peers)
        _require_whole_groups(self.needs.get("order"), self.batch_size // ranks)
        self._order(0), self._extra(0, 0)  # raises unmet requirements before the first step

    def __len__(self) -> int:
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest >= self.ranks and not self.drop_last)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of an epoch from step `start` on; repeatable."""
        order = self._device_order(number)
        for step in range(start, len(self)):
            self._prefetch(number, step)
            index = order[self._rank_slice(step)].to(self.device)
            batch = Batch(self._augmented(order, number, step, "augment"), self.labels[index], index)
            yield self._mixed(batch._replace(extra=self._extra(number, step)), number, step)

    def _draw_order(self, epoch: int) -> Tensor:
        """Draw the order of an epoch's rows, grouped by class if required. -> [N]."""
        draws = make_generator(self.seed, "order", epoch)
        order = torch.randperm(len(self.labels), generator=draws)
        match self.needs.get("order"):
            case ClassGroups(others):
                anchors = order[: -(-len(order) // (1 + others))]
                order = self.class_index.groups(anchors, others, draws).flatten()[: len(order)]
        return order

    def _order_on_device(self, epoch: int) -> Tensor:
        """Copy the order to the images' device once per epoch, to avoid a host sync at each step."""
        return self._order(epoch).to(self.images.device)

    def _prefetch(self, epoch: int, step: int) -> None:
        """Prefetch lazy images of the next steps while this one trains."""
        if not isinstance(self.images, LazyImages):
            return
        for ahead in range(step, step + 1 + PREFETCH):
            later, place = (epoch, ahead) if ahead < len(self) else (epoch + 1, ahead - len(self))
            rows = self._rank_slice(place)
            self.images.prefetch(self._order(later)[rows])
            match self.needs.get("peer"):
                case SameClassImage(itself):
                    self.images.prefetch(self._peers(later, itself)[rows])

    def _draw_params(self, epoch: int, of: str) -> AugmentParams:
        return self.augment.draw(len(self.labels), make_generator(self.seed, of, epoch)).to(self.device)

    def _draw_peers(self, epoch: int, itself: bool) -> Tensor:
        drawn = self.class_index.same_class(self._order(epoch), make_generator(self.seed, "peer", epoch), itself)
        return drawn.to(self.images.device)

    def _rank_slice(self, step: int) -> slice:
        """Slice of the epoch's order with this rank's rows of a step."""
        return rank_slice(step, self.batch_size, len(self.labels), self.rank, self.ranks)

    def _extra(self, epoch: int, step: int) -> dict[str, Tensor]:
        """Build the extra tensors that the method requires."""
        extra: dict[str, Tensor] = {}
        for key, need in self.needs.items():
            match key, need:
                case "peer", SameClassImage(itself):
                    extra["peer"] = self._augmented(self._peers(epoch, itself), epoch, step, "peer")
                case "twin", ExtraAugmentation():
                    extra |= {
                        name: self._augmented(self._device_order(epoch), epoch, step, name) for name in need.names
                    }
                case "last", _:
                    extra["last"], extra["last_labels"] = self._previous_batch(epoch, step)
                case "negatives", Negatives(count):
                    rows = self._order(epoch)[self._rank_slice(step)]
                    draws = make_generator(self.seed, "negatives", epoch, step, self.rank)
                    extra["negatives"] = self.class_index.negatives(rows, count, draws).to(
                        self.device, non_blocking=True
                    )
        return extra

    def _augmented(self, order: Tensor, epoch: int, step: int, stream_of: str) -> Tensor:
        """Augment this rank's images of a step, for a given order and random stream."""
        rows = self._rank_slice(step)
        images = self.images[order[rows]].to(self.device, non_blocking=True)  # decoded images are there already
        return self.augment(images, self._params(epoch, stream_of).rows(rows))

    def _previous_batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Previous batch, augmented again, and its labels; at the very first step the same batch."""
        if step > 0:
            step = step - 1
        elif epoch > 0:
            epoch, step = epoch - 1, len(self) - 1
        order = self._device_order(epoch)
        return self._augmented(order, epoch, step, "last"), self.labels[order[self._rank_slice(step)].to(self.device)]

    def _mixed(self, batch: Batch, epoch: int, step: int) -> Batch:
        """Apply erasing and mixing."""
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
                f"use a --batch-size that is a multiple of {1 + others}"
            )


def batches(
    images: Images, batch_size: int, augment: Augmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Iterate over all images in order, normalized only, including the last incomplete batch."""
    for rows in images.index_blocks(batch_size):
        normalized = augment.normalize(images.images[rows].to(device))
        yield Batch(normalized, images.labels[rows].to(device), rows.to(device))
