"""Pixels of an image file as they are stored: all of its channels, and up to 16 bits of each."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.pixel_format import BYTE, WORD
from selfdistill.data.rgb import ValueRange, is_deep, orientation, shares, turn_upright
from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

SAMPLES = 277  # TIFF tag: samples of a pixel
ALPHA = {1, 2}  # meanings of samples beyond the colors
UNKNOWN = ""  # mode of a `TiffImage`
KEPT = {"L", "LA", "RGB", "RGBA"}  # modes of Pillow whose bands are read as they are
FLIPS: dict[int, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {  # to upright, by EXIF orientation
    1: lambda values: values,
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.swapaxes(0, 1),
    6: lambda values: values.swapaxes(0, 1)[:, ::-1],
    7: lambda values: values[::-1, ::-1].swapaxes(0, 1),
    8: lambda values: values.swapaxes(0, 1)[::-1],
}


class Samples(NamedTuple):
    """Values of all channels of an image."""

    values: NDArray[np.generic]  # [H, W, S] whole numbers
    largest: int  # value that is white
    alpha: bool = False  # the last channel is opacity


def stored_samples(image: "Image.Image", source: bytes | Path, name: str, shown: ValueRange | None) -> Samples:
    """Read all channels of an opened image, upright; `shown` is the range of deep pixels.

    Files that Pillow would reduce are read by tifffile and imagecodecs. Raises `UserError` for values without a known
    range, and where these are missing.
    """
    if image.format == "TIFF" and (is_wide(image) or stored_channels(image) != len(_bands(image))):
        return _of_tiff(image, source, name, shown)
    if is_wide(image):
        return _of_png(image, source, name)
    image.load()
    turn_upright(image)
    if is_deep(image):
        largest = 2**WORD - 1
        return Samples(np.round(shares(image, name, shown) * largest).astype(np.int32)[..., None], largest)
    return _of_pillow(image)


def is_wide(image: "Image.Image") -> bool:
    """Return whether an opened image has colors of more than 8 bits, of which Pillow would keep the upper 8."""
    if image.mode == UNKNOWN:
        return bool(image.bits > BYTE)  # type: ignore[attr-defined]  # of `TiffImage`
    return ";16" in str(image.tile) and not is_deep(image)  # type: ignore[attr-defined]  # the raw mode: "RGB;16B"


def stored_channels(image: "Image.Image") -> int:
    """Return the channels of a file, of which Pillow may drop some of a TIFF."""
    if image.mode == UNKNOWN:
        return int(image.samples)  # type: ignore[attr-defined]  # of `TiffImage`
    if image.format == "TIFF":
        return int(image.tag_v2.get(SAMPLES, 1))  # type: ignore[attr-defined]  # of TIFF images
    return len(image.getbands())


def has_more_bits(image: "Image.Image", bits: int, shown: ValueRange | None) -> bool:
    """Return whether an opened image has more bits a channel than are read, unasked by the range `shown`."""
    return bits == BYTE and (is_wide(image) or (shown is None and is_deep(image)))


def dropped_channels(image: "Image.Image") -> int:
    """Return the channels of a file if a viewer shows only some of them; else 0."""
    found = stored_channels(image)
    return found if found > len(_bands(image)) else 0


def _bands(image: "Image.Image") -> tuple[str, ...]:
    return () if image.mode == UNKNOWN else image.getbands()


def _of_pillow(image: "Image.Image") -> Samples:
    if image.mode not in KEPT:
        grey, clear = image.mode == "1", image.has_transparency_data
        image = image.convert("L" if grey else "RGBA" if clear else "RGB")
    elif image.has_transparency_data and image.mode in ("L", "RGB"):  # a color that is transparent
        image = image.convert("RGBA")
    values = np.asarray(image)
    return Samples(values[..., None] if values.ndim == 2 else values, 2**BYTE - 1, image.mode.endswith("A"))


def _of_png(image: "Image.Image", source: bytes | Path, name: str) -> Samples:
    """Read a PNG of 16 bits a channel."""
    if image.format != "PNG":
        raise UserError(
            f"the image {name} is a {image.format} file of 16-bit colors, of which 8 bits can be read; convert it to "
            "PNG or TIFF, or leave --bits and --channels out"
        )
    turn, encoded = FLIPS[orientation(image)], source if isinstance(source, bytes) else source.read_bytes()
    try:
        from imagecodecs import png_decode
    except ImportError:
        raise _missing(image, name) from None
    values = np.atleast_3d(turn(png_decode(encoded)))
    return Samples(values.astype(np.int32), 2**WORD - 1, alpha=values.shape[2] in (2, 4))


def _of_tiff(image: "Image.Image", source: bytes | Path, name: str, shown: ValueRange | None) -> Samples:
    """Read the samples of the first page of a TIFF."""
    turn = FLIPS[orientation(image)]
    try:
        from selfdistill.data.tiff_image import bits_of, first_page
    except ImportError:
        raise _missing(image, name) from None
    with first_page(source) as page:
        values, axes, bits, extra = page.asarray(), page.axes, bits_of(page), page.extrasamples
    values = np.moveaxis(values, axes.index("S"), -1) if "S" in axes else values[..., None]
    if values.ndim != 3:
        raise UserError(f"the image {name} has the axes {axes}; save one picture of height, width and channels a file")
    whole, largest = _whole(values, bits, name, shown)
    return Samples(turn(whole), largest, alpha=bool(extra) and int(extra[-1]) in ALPHA)


def _missing(image: "Image.Image", name: str) -> UserError:
    return UserError(
        f"the image {name} is a {image.format} of {stored_channels(image)} channels, of which Pillow reads a part; "
        "install tifffile and imagecodecs: pip install 'selfdistill[deep]'"
    )


def _whole(
    values: NDArray[np.generic], bits: int, name: str, shown: ValueRange | None
) -> tuple[NDArray[np.generic], int]:
    """Return whole numbers, and the value that is white: by `shown`, or by the bits of unsigned values."""
    if values.dtype == np.uint8 or (shown is None and values.dtype == np.uint16):
        return values.astype(np.int32), 2**bits - 1
    if shown is None:
        raise UserError(
            f"the image {name} has {values.dtype} pixels, whose file does not say which values are black and white; "
            "add them to --data, such as ?range=0..1, or convert the images to unsigned integers of 8 or 16 bits"
        )
    share = np.nan_to_num((values.astype(np.float64) - shown.black) / (shown.white - shown.black)).clip(0, 1)
    return np.round(share * (2**WORD - 1)).astype(np.int32), 2**WORD - 1
