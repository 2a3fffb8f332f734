"""Images with a class id for each pixel, and their splits."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data.channel_statistics import ChannelStatistics, channel_histogram
from selfdistill.data.masked_files import MaskedFiles, MaskedImage
from selfdistill.records import DataFingerprint

STATISTICS = 1000  # largest number of images, evenly spaced, for mean and standard deviation
BLOCK = 8  # of them decoded at once
PREFETCH = 2  # blocks decoded ahead


class MaskedTensors(NamedTuple):
    """Images of one size in memory, with their masks."""

    images: Tensor  # [N, 3, H, W] uint8
    masks: Tensor  # [N, H, W] int16 class ids; -100 without a label


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """Images of any size with a class id for each pixel: a map-style data set of (image, mask).

    >>> tensors = MaskedTensors(torch.zeros(2, 3, 4, 6, dtype=torch.uint8), torch.zeros(2, 4, 6, dtype=torch.int16))
    >>> [tuple(each.shape) for each in MaskedImages(tensors)[0]]
    [(3, 4, 6), (4, 6)]
    """

    pairs: MaskedTensors | MaskedFiles

    def __len__(self) -> int:
        return len(self.pairs) if isinstance(self.pairs, MaskedFiles) else len(self.pairs.images)

    def __getitem__(self, row: int) -> MaskedImage:
        if isinstance(self.pairs, MaskedFiles):
            return self.pairs[row]
        return MaskedImage(self.pairs.images[row], self.pairs.masks[row])

    def rows(self, index: Tensor) -> "MaskedImages":
        """Select rows in the given order. index [M]."""
        if isinstance(self.pairs, MaskedFiles):
            return MaskedImages(self.pairs.rows(index))
        return MaskedImages(MaskedTensors(self.pairs.images[index], self.pairs.masks[index]))

    def prefetch(self, index: Tensor) -> None:
        """Start decoding rows in the background. index [M]."""
        if isinstance(self.pairs, MaskedFiles):
            self.pairs.prefetch(index)

    def index_blocks(self, rows: int) -> Iterator[Tensor]:
        """Iterate over indices of all images in blocks of `rows`, decoding ahead. -> [rows] or fewer."""
        places = torch.split(torch.arange(len(self)), rows)
        for k, block in enumerate(places):
            self.prefetch(torch.cat(places[k : k + 1 + PREFETCH]))
            yield block

    @property
    def sizes(self) -> Tensor:
        """Height and width of each image in pixels. -> [N, 2]."""
        if isinstance(self.pairs, MaskedFiles):
            return self.pairs.sizes
        return torch.tensor(self.pairs.images.shape[2:]).expand(len(self), 2)


@dataclass(frozen=True, eq=False)
class MaskedSplits(ChannelStatistics):
    """A segmentation data set with its training, validation and test images."""

    train: MaskedImages
    validation: MaskedImages | None
    test: MaskedImages
    classes: tuple[str, ...]
    name: str
    flip: bool = True  # a horizontal flip keeps the classes
    fingerprint: DataFingerprint | None = None  # of the files that the images came from
    notes: tuple[str, ...] = ()  # sentences on data that were left out
    skipped: tuple[str, ...] = ()  # names of unreadable images that were left out

    @cached_property
    def _histogram(self) -> Tensor:
        """Normalized histogram of each channel over the training images, at most 1,000. [3, 256]."""
        count = len(self.train)
        sample = torch.linspace(0, count - 1, min(count, STATISTICS), dtype=torch.float64).long()
        return channel_histogram(self.train[row].image[None] for row in self._ahead(sample))

    def _ahead(self, sample: Tensor) -> Iterator[int]:
        """Iterate over training rows, decoding ahead."""
        for block in torch.split(sample, BLOCK):
            self.train.prefetch(block)
            yield from block.tolist()
