"""Lazily decoded images with the indexing of a tensor."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Size, Tensor

from selfdistill.data.decode import decode, decode_one, require_side, square_side

CACHE = 2**28  # bytes of decoded images that are cached
CACHED_CALLS = 8  # the cache holds at least the images of this many `prefetch` calls


class LazyImages:
    """Square images of one size, decoded by threads on access; indexed like a tensor [N, 3, S, S] uint8.

    `names` identify images in messages. With `size` S the shorter side is resized to S and the center cropped;
    without, all must be squares of the size of the first. Raises `UserError` on access to an image that is broken
    or of another size.
    """

    device = torch.device("cpu")  # of indices and pixels

    def __init__(
        self, sources: Sequence[bytes | Path], names: Sequence[str], size: int | None, side: int | None = None
    ):
        self.sources, self.names, self.size = sources, names, size
        self.side = side or size or square_side(sources[0], names[0])
        self._pending: OrderedDict[int, Future[NDArray[np.uint8]]] = OrderedDict()
        self._capacity = CACHE // (3 * self.side**2)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: Tensor | slice | int) -> Tensor:
        """Pixels of rows, with the semantics of tensor indexing. [M] or a slice -> [M, 3, S, S]."""
        rows = torch.arange(len(self))[index]
        pixels = torch.empty(rows.numel(), *self.shape[1:], dtype=torch.uint8)
        for place, pending in enumerate([self._submit(row) for row in rows.flatten().tolist()]):
            pixels[place] = torch.from_numpy(pending.result())
        return pixels.view(*rows.shape, *self.shape[1:])

    @property
    def shape(self) -> Size:
        """Shape of all decoded images. [N, 3, S, S]."""
        return Size((len(self), 3, self.side, self.side))

    @property
    def nbytes(self) -> int:
        """Bytes of all decoded images."""
        return self.shape.numel()

    def to(self, device: torch.device | str) -> "LazyImages":
        """Return self: decoded pixels are moved by the loader."""
        return self

    def rows(self, index: Tensor) -> "LazyImages":
        """Select images in the given order, without decoding. index [M]."""
        chosen = index.tolist()
        part = [self.sources[k] for k in chosen], [self.names[k] for k in chosen]
        return LazyImages(*part, self.size, self.side)

    def decode_all(self) -> Tensor:
        """Decode all images. -> [N, 3, S, S]; raises `UserError` if they would fill most of the memory."""
        return decode(self.sources, self.names.__getitem__, self.size)

    def prefetch(self, index: Tensor) -> None:
        """Start decoding rows in the background. index [M]."""
        self._capacity = max(self._capacity, CACHED_CALLS * len(index))
        for row in index.tolist():
            self._submit(row)

    def require_one_size(self) -> None:
        """Raise `UserError` if sizes differ and no size to resize to is given; reads headers only."""
        if self.size is None:
            check = partial(require_side, self.sources, name=self.names.__getitem__, side=self.side)
            for _ in self._threads.map(check, range(len(self))):
                pass  # the error of the first row that has one is raised here

    def _submit(self, row: int) -> "Future[NDArray[np.uint8]]":
        if row not in self._pending:
            image = (self.sources, row, self.names.__getitem__, self.size, self.side)
            self._pending[row] = self._threads.submit(decode_one, *image)
        pending = self._pending[row]
        while len(self._pending) > max(self._capacity, 1):
            self._pending.popitem(last=False)
        return pending

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
