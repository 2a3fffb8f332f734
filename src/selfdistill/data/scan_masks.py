"""Scan of all masks of a data set before training: sizes, ids, unreadable files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.data.decode import UnreadableImage, each_unreadable, reading
from selfdistill.data.decode_mask import MaskFormat, decode_mask
from selfdistill.data.ignored import IGNORED
from selfdistill.data.masked_files import MaskedFile, require_same_size
from selfdistill.data.rgb import orientation


class MaskScan(NamedTuple):
    """Properties of images and masks, by row."""

    sizes: Tensor  # [N, 2] height and width, upright
    pixels: list[NDArray[np.int64]]  # of each class id, up to the highest
    turned: list[bool]  # the image is turned or mirrored by its EXIF orientation

    @property
    def highest(self) -> list[int]:
        """Highest class id of each mask; -1 for one without labels."""
        return [len(each) - 1 for each in self.pixels]

    def rows(self, index: Tensor) -> "MaskScan":
        """Properties of some rows. index [M]."""
        chosen = index.tolist()
        return MaskScan(self.sizes[index], [self.pixels[k] for k in chosen], [self.turned[k] for k in chosen])

    def total(self) -> NDArray[np.int64]:
        """Pixels of each class id over all rows. -> [K]."""
        table = np.zeros(max(self.highest, default=-1) + 1, dtype=np.int64)
        for each in self.pixels:
            table[: len(each)] += each
        return table


def scan_masks(
    files: Sequence[MaskedFile], form: MaskFormat, whole: bool = False
) -> tuple[MaskScan, dict[int, UnreadableImage]]:
    """Read all masks, and the headers of all images; return the findings, and the errors of unreadable rows.

    With `whole` the images are read too. Raises `UserError` for a file that is not a mask, and where image and mask
    differ in size.
    """
    sizes, turned = torch.ones(len(files), 2, dtype=torch.long), [False] * len(files)
    pixels = [np.zeros(0, dtype=np.int64)] * len(files)

    def scan(row: int) -> None:
        upright, turned[row] = _header(files[row], whole)
        ids = decode_mask(files[row].mask, str(files[row].mask), form)
        require_same_size(files[row], *upright, (ids.shape[1], ids.shape[0]))
        sizes[row] = torch.tensor(ids.shape)
        pixels[row] = np.bincount(ids[ids != IGNORED])

    errors = each_unreadable(scan, len(files))
    return MaskScan(sizes, pixels, turned), errors


def _header(files: MaskedFile, whole: bool) -> tuple[tuple[tuple[int, int], tuple[int, int]], bool]:
    """Size (width, height) of an image upright and as it lies, and if it is turned."""
    with reading(files.image, str(files.image)) as image:
        size, turn = image.size, orientation(image)
        if whole:
            image.load()
    return ((size[1], size[0]) if turn >= 5 else size, size), turn != 1
