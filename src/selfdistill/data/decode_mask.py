"""Decoding of masks: the class id of each pixel, from palette, gray and 16-bit images, or by colors."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.decode import reading
from selfdistill.data.ignored import IGNORED
from selfdistill.data.rgb import turn_upright
from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

HIGHEST = 2**15 - 1  # class id that a mask in memory holds
LOSSY = {"JPEG", "MPO"}
STRETCHED = {"L;2": 85, "L;4": 17}  # gray of 2 and 4 bits, which Pillow scales to 0 … 255
IDS = {"1", "L", "P", "I"}  # integer modes, in addition to I;16 and its variants

Color = tuple[int, int, int]


class MaskFormat(NamedTuple):
    """Mapping from the values in mask files to class ids."""

    ignored: int | None = 255  # value of pixels without a label
    shifted: bool = False  # values above the ignored one move down by one
    colors: Sequence[Color] | None = None  # of the values 0, 1 …; without, values are in the files


def decode_mask(source: Path, name: str, form: MaskFormat) -> NDArray[np.int16]:
    """Decode a mask; pixels without a label are -100. -> [H, W] int16.

    Raises `UserError` for colors without a list of them, for a color that is not in the list, for JPEG files, and for
    ids that are negative or above 32767.
    """
    with reading(source, name) as image:
        stretch = next((STRETCHED[mode] for mode in STRETCHED if f"'{mode}'" in str(image.tile)), 1)  # type: ignore[attr-defined]
        image.load()  # forgets the tiles
        values = _values(turn_upright(image), name, form.colors) // stretch
    unknown = np.zeros(values.shape, bool) if form.ignored is None else values == form.ignored
    _require_range(values[~unknown], name)
    ids = values - (form.shifted and values > (form.ignored or 0))
    return np.where(unknown, IGNORED, ids).astype(np.int16)


def _values(image: "Image.Image", name: str, colors: Sequence[Color] | None) -> NDArray[np.int64]:
    """Values of a mask's pixels, or of their colors. -> [H, W]."""
    if image.format in LOSSY:
        raise UserError(f"the mask {name} is a JPEG, which changes ids and colors at edges; save masks as PNG")
    if colors and image.mode != "P":
        return _by_color(np.asarray(image.convert("RGB")), name, colors)
    if image.mode not in IDS and not image.mode.startswith("I;16"):
        raise UserError(
            f"the mask {name} is an image of mode {image.mode}, but a mask has one whole number for each pixel, its "
            "class id; save masks as gray or palette PNGs, or list the classes with their colors in classes.txt (lines "
            "of NAME R G B)"
        )
    return np.asarray(image).astype(np.int64)


def _by_color(pixels: NDArray[np.uint8], name: str, colors: Sequence[Color]) -> NDArray[np.int64]:
    """Place of each pixel's color in the list. [H, W, 3] -> [H, W]."""
    wanted, found = _code(np.array(colors)), _code(pixels)
    order = wanted.argsort()
    places = np.searchsorted(wanted[order], found).clip(max=len(colors) - 1)
    ids: NDArray[np.int64] = order[places]
    strange = wanted[ids] != found
    if strange.any():
        row, column = np.argwhere(strange)[0]
        color = " ".join(map(str, pixels[row, column].tolist()))
        raise UserError(
            f"the mask {name} has the color {color} (row {row}, column {column}), which the list of classes does not "
            "have; add a line for it, or, if the masks hold class ids, list the names without colors"
        )
    return ids


def _code(colors: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each color. [..., 3] -> [...]."""
    codes: NDArray[np.int64] = colors.astype(np.int64) @ np.array([65536, 256, 1])
    return codes


def _require_range(ids: NDArray[np.int64], name: str) -> None:
    if ids.size and (ids.min() < 0 or ids.max() > HIGHEST):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise UserError(
            f"the mask {name} has the value {wrong}, but class ids go from 0 to {HIGHEST}; name the value of pixels "
            "without a label by ?ignore=ID, or number the classes from 0"
        )
