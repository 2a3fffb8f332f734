"""Sequences that compute an item on access: names, paths and images of millions of rows without an object for each."""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # paths are listed without torch
    from torch import Tensor

T = TypeVar("T")
S = TypeVar("S")


class RowView(Sequence[T]):
    """A sequence whose items are computed on access; a slice is a view too."""

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[T]: ...
    def __getitem__(self, row: int | slice) -> T | Sequence[T]:
        if isinstance(row, slice):
            return Taken(self, np.arange(len(self))[row])
        return self.at(range(len(self))[row])  # from the end for negative ones; raises IndexError

    @abstractmethod
    def at(self, row: int) -> T:
        """Item of a row, 0 to N - 1."""


class Mapped(RowView[T], Generic[S, T]):
    """Each item of a sequence, converted on access."""

    def __init__(self, convert: Callable[[S], T], items: Sequence[S]):
        self.convert, self.items = convert, items

    def __len__(self) -> int:
        return len(self.items)

    def at(self, row: int) -> T:
        """Item of a row, converted."""
        return self.convert(self.items[row])


class Joined(RowView[T]):
    """Sequences one after the other."""

    def __init__(self, parts: Sequence[Sequence[T]]):
        self.parts = parts
        self.starts = [0, *accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self.starts[-1]

    def at(self, row: int) -> T:
        """Item of a row, from its part."""
        part = bisect_right(self.starts, row) - 1
        return self.parts[part][row - self.starts[part]]


class Taken(RowView[T]):
    """Chosen rows of a sequence, in the given order."""

    def __init__(self, items: Sequence[T], rows: NDArray[np.int64]):
        self.items, self.chosen = items, rows

    def __len__(self) -> int:
        return len(self.chosen)

    def at(self, row: int) -> T:
        """Item of a chosen row."""
        return self.items[int(self.chosen[row])]


def take(items: Sequence[T], index: "Tensor") -> Sequence[T]:
    """Take rows in the given order: a list of a list, a view of a view. index [M].

    >>> import torch
    >>> take(["a", "b", "c"], torch.tensor([2, 0]))
    ['c', 'a']
    """
    if isinstance(items, Taken):
        return Taken(items.items, items.chosen[index.numpy()])
    if isinstance(items, RowView):
        return Taken(items, index.numpy())
    taken: Any = [items[row] for row in index.tolist()]
    return taken  # type: ignore[no-any-return]
