"""Files of images and masks, of any size, decoded by threads on access."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from selfdistill.data.decode import reading
from selfdistill.data.decode_mask import MaskFormat, decode_mask
from selfdistill.data.rgb import ValueRange, to_rgb
from selfdistill.errors import UserError

CACHE = 2**28  # bytes of decoded images and masks that are cached
CACHED_CALLS = 8  # the cache holds at least the rows of this many `prefetch` calls
BYTES = 5  # of a pixel and its id


class MaskedImage(NamedTuple):
    """An image and the class id of each pixel."""

    image: Tensor  # [3, H, W] uint8
    mask: Tensor  # [H, W] int16; -100 without a label


class MaskedFile(NamedTuple):
    """Files of an image and of its mask."""

    image: Path
    mask: Path


class MaskedFiles:
    """Images with masks in files, indexed by row. `sizes` [N, 2] are heights and widths, as `scan_masks` finds them.

    `form` says how masks are read, `shown` is the value range of deep pixels. `cache` is the number of bytes that stay
    decoded. Raises `UserError` on access to a file that is unreadable, or that is no longer what was scanned.
    """

    def __init__(
        self,
        files: Sequence[MaskedFile],
        sizes: Tensor,
        form: MaskFormat,
        shown: ValueRange | None = None,
        cache: float = CACHE,
    ):
        self.files, self.sizes, self.form, self.shown, self.cache = files, sizes, form, shown, cache
        self._pending: OrderedDict[int, Future[MaskedImage]] = OrderedDict()
        self._held = 0  # bytes of the rows above
        self._prefetched = 0  # most rows of a `prefetch` call
        self._lock = Lock()  # crops are made by several threads

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> MaskedImage:
        return self._submit(range(len(self))[row]).result()

    @property
    def nbytes(self) -> int:
        """Return the size of all decoded images and masks in bytes."""
        return BYTES * int(self.sizes.prod(dim=1).sum())

    def rows(self, index: Tensor) -> "MaskedFiles":
        """Select rows in the given order, without decoding. index [M]."""
        return MaskedFiles(
            [self.files[k] for k in index.tolist()], self.sizes[index], self.form, self.shown, self.cache
        )

    def prefetch(self, index: Tensor) -> None:
        """Start decoding rows in the background. index [M]."""
        self._prefetched = max(self._prefetched, len(index))
        for row in index.tolist():
            self._submit(row)

    def _submit(self, row: int) -> "Future[MaskedImage]":
        with self._lock:
            if row not in self._pending:
                self._pending[row] = self._threads.submit(decode_pair, self.files[row], self.form, self.shown)
                self._held += self._bytes(row)
            pending = self._pending[row]
            while self._held > self.cache and len(self._pending) > max(CACHED_CALLS * self._prefetched, 1):
                self._held -= self._bytes(self._pending.popitem(last=False)[0])
            return pending

    def _bytes(self, row: int) -> int:
        return BYTES * int(self.sizes[row].prod())

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")


def decode_pair(files: MaskedFile, form: MaskFormat, shown: ValueRange | None = None) -> MaskedImage:
    """Decode an image, turned upright, and its mask. -> [3, H, W] uint8, [H, W] int16.

    Raises `UserError` for an unreadable file, and where image and mask differ in size.
    """
    with reading(files.image, str(files.image)) as opened:
        before, image = opened.size, to_rgb(opened, str(files.image), shown)
    ids = decode_mask(files.mask, str(files.mask), form)
    require_same_size(files, image.size, before, (ids.shape[1], ids.shape[0]))
    pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
    return MaskedImage(torch.from_numpy(pixels), torch.from_numpy(ids))


def require_same_size(
    files: MaskedFile, image: tuple[int, int], before: tuple[int, int], mask: tuple[int, int]
) -> None:
    """Raise `UserError` unless image and mask have one size (width, height); `before` is the image's as it lies."""
    if image == mask:
        return
    found = f"the image {files.image} has {_size(image)} pixels, its mask {files.mask} {_size(mask)}"
    if before == mask:
        raise UserError(
            f"{found}: the image is turned by its EXIF orientation, and the mask is not; turn the mask too, or remove "
            "the orientation from the image"
        )
    raise UserError(f"{found}; make the mask as large as the image")


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
