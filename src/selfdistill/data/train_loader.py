"""Training loader: order, augmentation and mixing, each with its own random stream."""

import functools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from selfdistill.data.augment import Augmentation, AugmentParams
from selfdistill.data.batch import Batch
from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.class_weights import weights_of
from selfdistill.data.crop_reader import CropReader
from selfdistill.data.epoch_order import EpochOrder, extra_inputs
from selfdistill.data.images import PREFETCH, Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.requirements import ExtraAugmentation, Need, SameClassImage
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
        mixing: Mixing | CellExchange | None = None,
        erasing: Erasing | None = None,
        needs: Mapping[str, Need] | None = None,
        seed: int = 0,
        drop_last: bool = True,
        balanced: bool = False,
        rank: int = 0,
        ranks: int = 1,
        device: torch.device | str = "cpu",
        workers: int | None = None,
    ):
        self.images, self.labels = images.images.to(device), images.labels.to(device)
        self.weights = None if images.weights is None else images.weights.to(device)
        self.augment, self.mixing, self.erasing, self.seed = augment, mixing, erasing, seed
        self.order = EpochOrder(
            len(images),
            batch_size,
            labels=images.labels,
            needs=needs,
            seed=seed,
            drop_last=drop_last,
            balanced=balanced,
            rank=rank,
            ranks=ranks,
            device=self.images.device,
        )
        self.batch_size, self.needs = self.order.batch_size, self.order.needs
        self.rank, self.ranks, self.device = rank, ranks, device
        self.crops = _crop_reader(images, augment, workers)
        self._params = functools.lru_cache(8)(self._draw_params)
        self._extra(0, 0)  # raises unmet requirements before the first step

    def __len__(self) -> int:
        return len(self.order)

    @functools.cached_property
    def strong(self) -> Augmentation:
        """Augmentation of strong views. Raises `UserError` for images without one."""
        return self.augment.strong()

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of an epoch from step `start` on; repeatable."""
        order = self.order.placed(number)
        for step in range(start, len(self)):
            self._prefetch(number, step)
            index = order[self.order.slice(step)].to(self.device)
            batch = Batch(self._augmented(order, number, step, "augment"), self.labels[index], index)
            batch = batch._replace(weights=weights_of(self.weights, index))
            yield self._mixed(batch._replace(extra=self._extra(number, step)), number, step)

    def _prefetch(self, epoch: int, step: int) -> None:
        """Prefetch lazy images of the next steps while this one trains."""
        if not isinstance(self.images, LazyImages):
            return
        if self.crops is not None:
            self._prefetch_crops(self.crops, self.images, epoch, step)
            return
        for later, place in self.order.ahead(epoch, step, 1 + PREFETCH):
            rows = self.order.slice(place)
            self.images.prefetch(self.order.rows(later)[rows])
            match self.needs.get("peer"):
                case SameClassImage(itself):
                    self.images.prefetch(self.order.peers(later, itself)[rows])

    def _prefetch_crops(self, crops: CropReader, whole: LazyImages, epoch: int, step: int) -> None:
        """Prefetch a crop of its own for each view of each image of the next steps; plain views are whole."""
        for later, place in self.order.ahead(epoch, step, 1 + PREFETCH):
            rows = self.order.slice(place)
            for stream_of, order in self._views(later):
                params, image = self._params(later, stream_of).rows(rows), self._augment_of(stream_of).image
                if params.keys is not None and image is not None:
                    crops.prefetch(order[rows], params.keys, image)
            if "plain" in self.needs:
                whole.prefetch(self.order.rows(later)[rows])

    def _views(self, epoch: int) -> Iterator[tuple[str, Tensor]]:
        """Yield the random stream and the order of each view of an epoch's images."""
        yield "augment", self.order.rows(epoch)
        match self.needs.get("peer"):
            case SameClassImage(itself):
                yield "peer", self.order.peers(epoch, itself)
        match self.needs.get("twin"):
            case ExtraAugmentation() as twins:
                yield from ((name, self.order.rows(epoch)) for name in twins.names)
        if "strong" in self.needs:
            yield "strong", self.order.rows(epoch)

    def _draw_params(self, epoch: int, of: str) -> AugmentParams:
        drawn = self._augment_of(of).draw(len(self.labels), make_generator(self.seed, of, epoch))
        return drawn.to(self.device)

    def _augment_of(self, stream_of: str) -> Augmentation:
        return self.strong if stream_of == "strong" else self.augment

    def _extra(self, epoch: int, step: int) -> dict[str, Tensor]:
        extra = extra_inputs(self.order, epoch, step, self._augmented, self._labels)
        return {name: each.to(self.device, non_blocking=True) for name, each in extra.items()}

    def _labels(self, epoch: int, step: int) -> Tensor:
        return self.labels[self.order.placed(epoch)[self.order.slice(step)].to(self.device)]

    def _augmented(self, order: Tensor, epoch: int, step: int, stream_of: str) -> Tensor:
        """Augment this rank's images of a step, for a given order and random stream; "plain" draws nothing."""
        rows, augment = self.order.slice(step), self._augment_of(stream_of)
        if stream_of == "plain":
            return augment.plain(self._whole(order[rows]))
        params = self._params(epoch, stream_of).rows(rows)
        if self.crops is not None and params.keys is not None and augment.image is not None:
            return augment.finish(self.crops.read(order[rows], params.keys, augment.image).to(self.device), params)
        return augment(self._whole(order[rows]), params)

    def _whole(self, index: Tensor) -> Tensor:
        """Return images as they are, or resized and center-cropped from their files; prefetched ones are there."""
        return self.images[index].to(self.device, non_blocking=True)

    def _mixed(self, batch: Batch, epoch: int, step: int) -> Batch:
        """Apply erasing and mixing."""
        if self.erasing is not None:
            batch = self.erasing(batch, make_generator(self.seed, "erase", epoch, step, self.rank))
        if self.mixing is None:
            return batch
        return self.mixing(batch, make_generator(self.seed, "mix", epoch, step, self.rank))


def _crop_reader(images: Images, augment: Augmentation, workers: int | None) -> CropReader | None:
    """Return the reader of random resized crops, if images are files and the augmentation has such crops."""
    lazy, image = images.images, augment.image
    if not isinstance(lazy, LazyImages) or image is None or image.crop_scale is None:
        return None
    return CropReader(lazy, workers)


def batches(
    images: Images, batch_size: int, augment: Augmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Iterate over all images in order, normalized only, including the last incomplete batch."""
    for rows in images.index_blocks(batch_size):
        normalized = augment.normalize(images.images[rows].to(device))
        yield Batch(normalized, images.labels[rows].to(device), rows.to(device))
