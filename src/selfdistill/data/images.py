"""Images as the library holds them: uint8, ready to be indexed, decoded once or as they are asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from selfdistill.data.lazy import LazyImages
from selfdistill.errors import UserError

BLOCK = 1024  # images counted at once
AHEAD = 2  # batches that are decoded before they are needed
COUNTED = 50_000  # of more images so many, evenly spread, say what a channel's mean and deviation are


@dataclass(frozen=True, eq=False)
class Images:
    """Square images with their labels; a data set of (image, label)."""

    images: Tensor | LazyImages  # [N, 3, H, H] uint8
    labels: Tensor  # [N] class ids

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.images[row], int(self.labels[row])

    def rows(self, index: Tensor) -> "Images":
        """Those rows only, in that order. index [M]."""
        pixels = self.images.rows(index) if isinstance(self.images, LazyImages) else self.images[index]
        return Images(pixels, self.labels[index])

    def blocks(self, rows: int) -> Iterator[Tensor]:
        """Places of all images in order, so many at a time; while one block is used the next are decoded."""
        places = torch.arange(len(self)).split(rows)
        for k, block in enumerate(places):
            if isinstance(self.images, LazyImages):
                self.images.prefetch(torch.cat(places[k : k + 1 + AHEAD]))
            yield block

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.images.shape[-1]


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: what to train on, what to choose by, what to report."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    name: str
    flip: bool = True  # whether a mirrored image keeps its class

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel over the training images, or over 50,000 of more, from 0 to 1."""
        return tuple((self._average(self._values) / 255).tolist())

    @cached_property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel over the same images, from 0 to 1; never 0."""
        variance = self._average(self._values**2) - self._average(self._values) ** 2
        return tuple((variance.clamp(min=0).sqrt() / 255).clamp(min=1e-3).tolist())

    @cached_property
    def _values(self) -> Tensor:
        return torch.arange(256, dtype=torch.float64)

    @cached_property
    def _shares(self) -> Tensor:
        """How often each channel takes each value: mean and deviation follow exactly. [3, 256]."""
        counts = torch.zeros(3, 256, dtype=torch.long)
        spread = torch.linspace(0, len(self.train) - 1, min(len(self.train), COUNTED), dtype=torch.float64).long()
        for rows in spread.split(BLOCK):
            block = self.train.images[rows]
            counts += torch.stack([torch.bincount(block[:, c].flatten(), minlength=256) for c in range(3)])
        return counts.double() / counts.sum(dim=1, keepdim=True)

    def _average(self, values: Tensor) -> Tensor:
        return self._shares @ values


def require_classes(labels: Tensor, classes: Sequence[str], where: str) -> None:
    """Raise `UserError` for a single class, or a class without a training image. labels [N]."""
    if len(classes) < 2:
        raise UserError(f"{where} has {len(classes) or 'no'} class; a classifier needs two at least")
    counts = torch.bincount(labels, minlength=len(classes))
    if empty := [name for name, count in zip(classes, counts.tolist(), strict=True) if count == 0]:
        names = ", ".join(empty[:3])
        raise UserError(
            f"{len(empty)} of {len(classes)} classes in {where} have no training image ({names}"
            f"{', …' if len(empty) > 3 else ''}); add images, or take the class away"
        )
