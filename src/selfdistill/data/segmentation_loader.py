"""Training and evaluation batches of images with masks."""

import functools
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.data.epoch_order import EpochOrder
from selfdistill.data.masked_files import MaskedImage
from selfdistill.data.masked_images import PREFETCH, MaskedImages
from selfdistill.data.mixing import Erasing
from selfdistill.data.segmentation_augment import ScaleCropParams, SegmentationAugmentation
from selfdistill.rng import make_generator

Crops = list[Future[MaskedImage]]


class SegmentationLoader:
    """Training batches of `batch_size` crops over all ranks, in a new order each epoch.

    Order and augmentation depend only on the seed: they are drawn for the whole epoch and split over ranks. Crops are
    made by threads, a step ahead; their number changes nothing. Every step of every epoch can be recomputed, so
    resuming needs no loader state. The last incomplete batch is dropped, unless it is the only one. Raises `UserError`
    if the batch size is not a multiple of `ranks`.
    """

    def __init__(
        self,
        images: MaskedImages,
        batch_size: int,
        *,
        augment: SegmentationAugmentation,
        erasing: Erasing | None = None,
        seed: int = 0,
        drop_last: bool = True,
        rank: int = 0,
        ranks: int = 1,
        device: torch.device | str = "cpu",
    ):
        self.images, self.augment, self.erasing, self.seed, self.device = images, augment, erasing, seed, device
        self.order = EpochOrder(len(images), batch_size, seed=seed, drop_last=drop_last, rank=rank, ranks=ranks)
        self.batch_size, self.rank, self.ranks = self.order.batch_size, rank, ranks
        self._params = functools.lru_cache(2)(self._draw_params)

    def __len__(self) -> int:
        return len(self.order)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of an epoch from step `start` on; repeatable. labels [B, h, w] int64."""
        ahead = self._crops(number, start) if start < len(self) else []
        for step in range(start, len(self)):
            self._prefetch(number, step)
            crops = [each.result() for each in ahead]
            ahead = self._crops(number, step + 1) if step + 1 < len(self) else []
            batch = self._batch(crops, self.order.rows(number)[self.order.slice(step)])
            yield self._erased(batch, number, step)

    def _draw_params(self, epoch: int) -> ScaleCropParams:
        return self.augment.draw(len(self.images), make_generator(self.seed, "augment", epoch))

    def _crops(self, epoch: int, step: int) -> Crops:
        """Start making this rank's crops of a step."""
        rows = self.order.slice(step)
        params = self._params(epoch).rows(rows)
        index = self.order.rows(epoch)[rows].tolist()
        return [self._threads.submit(self._crop, row, params, k) for k, row in enumerate(index)]

    def _crop(self, row: int, params: ScaleCropParams, place: int) -> MaskedImage:
        return self.augment.cropped(self.images[row], params, place)

    def _batch(self, crops: list[MaskedImage], index: Tensor) -> Batch:
        images, masks = (torch.stack(each).to(self.device, non_blocking=True) for each in zip(*crops, strict=True))
        return Batch(self.augment.normalize(images), masks.long(), index.to(self.device))

    def _erased(self, batch: Batch, epoch: int, step: int) -> Batch:
        if self.erasing is None:
            return batch
        return self.erasing(batch, make_generator(self.seed, "erase", epoch, step, self.rank))

    def _prefetch(self, epoch: int, step: int) -> None:
        """Decode the images of the next steps while this one trains."""
        for later, place in self.order.ahead(epoch, step + 1, 1 + PREFETCH):
            self.images.prefetch(self.order.rows(later)[self.order.slice(place)])

    @functools.cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="crop")


def segmentation_batches(
    images: MaskedImages, batch_size: int, augment: SegmentationAugmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Iterate over all images whole and in order, normalized; neighbors of one size share a batch.

    Images are resized by `augment.resized`; masks stay as they are, so that every labelled pixel is measured. Batches
    are [B, 3, H, W] and labels [B, H', W'] int64, at most `batch_size` of them.
    """
    for index in _of_one_size(images.sizes, batch_size):
        images.prefetch(torch.arange(int(index[0]), min(int(index[-1]) + 1 + batch_size, len(images))))
        pairs = [images[row] for row in index.tolist()]
        pixels = torch.stack([augment.resized(each.image) for each in pairs]).to(device)
        masks = torch.stack([each.mask for each in pairs]).to(device)
        yield Batch(augment.normalize(pixels), masks.long(), index.to(device))


def _of_one_size(sizes: Tensor, most: int) -> Iterator[Tensor]:
    """Split rows into runs of one size, of at most `most` rows. [N, 2] -> [M] each."""
    changes = (sizes[1:] != sizes[:-1]).any(dim=1).nonzero().flatten() + 1
    for run in torch.tensor_split(torch.arange(len(sizes)), changes):
        yield from torch.split(run, most)
