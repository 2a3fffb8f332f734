"""Result of a data source, before subsets and validation splits."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from selfdistill.data.images import Images

PickRows = Callable[[Tensor, Sequence[str]], Tensor]  # training labels [N] and class names -> training rows to keep


class SourceData(NamedTuple):
    """Images of a data set as its source splits them."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    flip: bool = True  # a horizontal flip keeps the class
    notes: tuple[str, ...] = ()  # what lies there and was not read


class SourceModule(Protocol):
    """Module of a data source."""

    def read(self, name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
        """Read the data set NAME or NAME:ARGUMENT; `pick` chooses training rows, `size` resizes."""
        ...
