"""Images that are still files or bytes, indexed as if they were pixels."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Size, Tensor

from selfdistill.data.decode import decode, picture, require_side, side_of

KEPT = 2**28  # bytes of decoded images that are kept for those who ask soon
WAITING = 8  # as many images are kept at least as are expected in so many calls


class LazyImages:
    """Square images of one size, decoded by threads when they are asked for: as a tensor [N, 3, S, S] uint8.

    `names` is what messages call each. With `size` S the shorter side is resized to it and the centre cut
    out; without, all must be squares of the first one's size. Raises `UserError` where an image is broken or of
    another size, once it is decoded.
    """

    device = torch.device("cpu")  # where an index must lie, and where pixels appear

    def __init__(
        self, sources: Sequence[bytes | Path], names: Sequence[str], size: int | None, side: int | None = None
    ):
        self.sources, self.names, self.size = sources, names, size
        self.side = side or size or side_of(sources[0], names[0])
        self._coming: OrderedDict[int, Future[np.ndarray]] = OrderedDict()
        self._room = KEPT // (3 * self.side**2)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: Tensor | slice | int) -> Tensor:
        """The pixels of rows, as a tensor of all would give them. [M] or a slice -> [M, 3, S, S]."""
        rows = torch.arange(len(self))[index]
        pixels = torch.empty(rows.numel(), *self.shape[1:], dtype=torch.uint8)
        for place, coming in enumerate([self._ask(row) for row in rows.flatten().tolist()]):
            pixels[place] = torch.from_numpy(coming.result())
        return pixels.view(*rows.shape, *self.shape[1:])

    @property
    def shape(self) -> Size:
        """The shape of all images decoded. [N, 3, S, S]."""
        return Size((len(self), 3, self.side, self.side))

    @property
    def nbytes(self) -> int:
        """Bytes of all images decoded."""
        return self.shape.numel()

    def to(self, device: torch.device | str) -> "LazyImages":
        """Stay: pixels go to a device when they have been decoded."""
        return self

    def rows(self, index: Tensor) -> "LazyImages":
        """Those images only, in that order; none is decoded. index [M]."""
        chosen = index.tolist()
        part = [self.sources[k] for k in chosen], [self.names[k] for k in chosen]
        return LazyImages(*part, self.size, self.side)

    def whole(self) -> Tensor:
        """Decode all. -> [N, 3, S, S]; raises `UserError` where they would fill most of the memory."""
        return decode(self.sources, self.names.__getitem__, self.size)

    def prefetch(self, index: Tensor) -> None:
        """Begin to decode rows that will be asked for. index [M]."""
        self._room = max(self._room, WAITING * len(index))
        for row in index.tolist():
            self._ask(row)

    def require_one_size(self) -> None:
        """Raise `UserError` where sizes differ and nobody said what to resize to; reads headers only."""
        if self.size is None:
            check = partial(require_side, self.sources, name=self.names.__getitem__, side=self.side)
            for _ in self._threads.map(check, range(len(self))):
                pass  # the error of the first row that has one is raised here

    def _ask(self, row: int) -> "Future[np.ndarray]":
        if row not in self._coming:
            asked = (self.sources, row, self.names.__getitem__, self.size, self.side)
            self._coming[row] = self._threads.submit(picture, *asked)
        coming = self._coming[row]
        while len(self._coming) > max(self._room, 1):
            self._coming.popitem(last=False)
        return coming

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
