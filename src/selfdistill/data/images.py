"""Image data sets and their splits: pixels, decoded in advance or lazily."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from selfdistill.data.center_crop import WHOLE, CenterCrop
from selfdistill.data.channel_statistics import ChannelStatistics, channel_histogram
from selfdistill.data.kept_statistics import kept_histogram
from selfdistill.data.lazy import LazyImages
from selfdistill.data.pixel_format import largest_value
from selfdistill.data.row_views import take
from selfdistill.data.whole_image import SHOWN
from selfdistill.errors import UserError
from selfdistill.records import DataFingerprint

BLOCK = 1024  # images per histogram update
PREFETCH = 2  # batches decoded ahead
STATISTICS = 50_000  # largest number of images, evenly spaced, for mean and standard deviation


@dataclass(frozen=True, eq=False)
class Images:
    """Square images and labels: a map-style data set of (image, label)."""

    images: Tensor | LazyImages  # [N, C, H, H] uint8, or int32 of 16 bits
    labels: Tensor  # [N] class ids, or [N, T] tags: 1, 0, or -100 where unknown
    weights: Tensor | None = None  # [N] of the images in losses of labels; None: equal

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.images[row], int(self.labels[row])

    def rows(self, index: Tensor) -> "Images":
        """Select rows in the given order. index [M]."""
        pixels = self.images.rows(index) if isinstance(self.images, LazyImages) else self.images[index]
        return Images(pixels, self.labels[index], None if self.weights is None else self.weights[index])

    def index_blocks(self, rows: int) -> Iterator[Tensor]:
        """Iterate over indices of all images in blocks of `rows`; prefetches lazy images. -> [rows] or fewer."""
        places = torch.split(torch.arange(len(self)), rows)
        for k, block in enumerate(places):
            if isinstance(self.images, LazyImages):
                self.images.prefetch(torch.cat(places[k : k + 1 + PREFETCH]))
            yield block

    @property
    def size(self) -> int:
        """Side length in pixels."""
        return self.images.shape[-1]


@dataclass(frozen=True, eq=False)
class Splits(ChannelStatistics):
    """A data set with its training, validation and test images."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    name: str
    flip: bool = True  # a horizontal flip keeps the class
    fingerprint: DataFingerprint | None = None  # of the files that the images came from
    notes: tuple[str, ...] = ()  # sentences on data that were left out
    skipped: tuple[str, ...] = ()  # names of unreadable images that were left out
    crop: CenterCrop = WHOLE  # of the test images

    @property
    def largest(self) -> int:
        """Largest value of a pixel: 255, or 65,535 of 16 bits."""
        return largest_value(self.train.images.dtype)

    @cached_property
    def _histogram(self) -> Tensor:
        """Normalized histogram of each channel over the training images, at most 50,000. [C, levels]."""
        sample = torch.linspace(0, len(self.train) - 1, min(len(self.train), STATISTICS), dtype=torch.float64).long()
        images, files = self.train.images, self.fingerprint

        def count() -> Tensor:
            return channel_histogram((images[rows] for rows in torch.split(sample, BLOCK)), self.largest + 1)

        if files is None or not isinstance(images, LazyImages) or len(self.train) <= STATISTICS:
            return count()
        form = () if images.form == SHOWN else images.form
        crop = () if images.crop == WHOLE else (images.crop,)
        key = (*map(str, (*form, *crop)), *take(images.names, sample))
        return kept_histogram(files, self.name, self.train.size, key, count)


def require_classes(labels: Tensor, classes: Sequence[str], where: str) -> None:
    """Raise `UserError` for a single class, or a class or tag without a training image. labels [N], or tags [N, T]."""
    tags = labels.dim() == 2
    if len(classes) < 2 and not tags:
        raise UserError(f"{where} has {len(classes) or 'no'} class; a classifier needs two at least")
    counts = (labels == 1).sum(dim=0) if tags else torch.bincount(labels, minlength=len(classes))
    if empty := [name for name, count in zip(classes, counts.tolist(), strict=True) if count == 0]:
        names = ", ".join(empty[:3])
        raise UserError(
            f"{len(empty)} of {len(classes)} {'tags' if tags else 'classes'} in {where} have no training image ({names}"
            f"{', …' if len(empty) > 3 else ''}); add images, or remove the class"
        )
