"""Masks as palette PNGs, whose values are class ids and whose colors are those of PASCAL VOC."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.files import write_atomic

VALUES = 256  # of a palette
UNKNOWN = 255  # value of pixels without a label, as VOC has it


def write_mask(path: Path, ids: Tensor) -> None:
    """Write the class id of each pixel as an 8-bit palette PNG; -100 becomes 255. ids [H, W], integers.

    `masks:PATH` reads it back. Raises `UserError` for another shape or dtype, for ids above 254 and below 0, and where
    the file cannot be written.
    """
    from PIL import Image

    image = Image.fromarray(_values(ids))
    image.putpalette(PALETTE.tobytes())
    write_atomic(path, lambda temporary: image.save(temporary, "PNG"))


def class_color(number: int) -> tuple[int, int, int]:
    """Color of a class id in VOC's map: the bits of the id, dealt to red, green and blue from the highest bit down.

    >>> class_color(0), class_color(1), class_color(15)
    ((0, 0, 0), (128, 0, 0), (192, 128, 128))
    """
    red, green, blue = (
        sum(((number >> (3 * place + channel)) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


def _values(ids: Tensor) -> NDArray[np.uint8]:
    if ids.dim() != 2 or ids.is_floating_point():
        kind = str(ids.dtype).removeprefix("torch.")
        raise UserError(f"a mask has integers [H, W], but this is {kind} {[*ids.shape]}; pass the class of each pixel")
    found = ids.detach().cpu().long()
    wrong = found[(found != IGNORED) & ((found < 0) | (found >= UNKNOWN))]
    if len(wrong):
        raise UserError(f"a palette PNG holds class ids from 0 to {UNKNOWN - 1}, but this mask has {int(wrong[0])}")
    values: NDArray[np.uint8] = found.masked_fill(found == IGNORED, UNKNOWN).numpy().astype(np.uint8)
    return values


PALETTE = np.array([class_color(number) for number in range(VALUES)], np.uint8)  # [256, 3]
