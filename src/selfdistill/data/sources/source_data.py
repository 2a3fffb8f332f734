"""Result of a data source, before subsets and validation splits."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from torch import Tensor

from selfdistill.data.decode import UnreadableImage
from selfdistill.data.drawn_part import TestPart
from selfdistill.data.images import Images
from selfdistill.data.masked_images import MaskedImages
from selfdistill.task import TaskName

PickRows = Callable[[Tensor, Sequence[str]], Tensor]  # training labels [N] and class names -> training rows to keep
PickCount = Callable[[int], Tensor]  # number of training images -> training rows to keep


class SourceData(NamedTuple):
    """Images of a data set as its source splits them."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    flip: bool = True  # a horizontal flip keeps the class
    notes: tuple[str, ...] = ()  # sentences on files that were not read
    groups: Tensor | None = None  # [N] of the training images: those of one group stay in one split


class MaskedSourceData(NamedTuple):
    """Images and masks of a segmentation data set as its source splits them."""

    train: MaskedImages
    validation: MaskedImages | None
    test: MaskedImages
    classes: tuple[str, ...]
    flip: bool = True  # a horizontal flip keeps the classes
    notes: tuple[str, ...] = ()  # sentences on files that were not read
    skipped: tuple[UnreadableImage, ...] = ()


class SourceModule(Protocol):
    """Module of a data source whose images have a class, or tags."""

    def read(self, name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
        """Read the data set NAME or NAME:ARGUMENT; `pick` chooses training rows, `size` resizes."""
        ...


class DrawingSourceModule(Protocol):
    """Module of a data source that draws a test part where the data have none."""

    def read(self, name: str, argument: str, pick: PickRows, size: int | None, test: TestPart) -> SourceData:
        """Read the data set NAME:ARGUMENT; `test` is the part of the training images that is drawn."""
        ...


class MaskedSourceModule(Protocol):
    """Module of a data source whose pixels have classes."""

    def read_masked(self, name: str, argument: str, pick: PickCount, skip_unreadable: bool = False) -> MaskedSourceData:
        """Read the data set NAME:ARGUMENT; `pick` chooses training rows."""
        ...


class Inspector(Protocol):
    """Module that reads what a specification is about, without reading the data."""

    def task(self, argument: str) -> TaskName:
        """Task of the data set NAME:ARGUMENT."""
        ...

    def files(self, argument: str) -> list[Path]:
        """Return the files of the data set, for its fingerprint."""
        ...
