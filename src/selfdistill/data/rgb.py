"""Conversion of images to 8-bit RGB: EXIF orientation, alpha over white, deep pixels by their value range."""

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

FULL_RANGE = {"PNG", "PPM", "JPEG2000"}  # formats that Pillow scales to the 16 bits of I and I;16
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
ORIENTATION = 274  # EXIF tag
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2  # values of the last two


class ValueRange(NamedTuple):
    """Pixel values that are shown as black and as white."""

    black: float
    white: float


def to_rgb(image: "Image.Image", name: str, shown: ValueRange | None) -> "Image.Image":
    """Convert an image to 8-bit RGB as a viewer shows it.

    EXIF orientation is applied, transparency is composited over white, and pixels of more than 8 bits are scaled from
    `shown`, or else from the range of their format; values beyond are clipped. Raises `UserError` for deep pixels
    without a range, such as floats.
    """
    image.load()
    turn_upright(image)
    if is_deep(image):
        return _scaled(image, shown or _stated_range(image, name))
    return _over_white(image) if image.has_transparency_data else image.convert("RGB")


def turn_upright(image: "Image.Image") -> "Image.Image":
    """Apply the EXIF orientation in place, and return the image."""
    from PIL import ImageOps

    with suppress(Exception):  # invalid EXIF data, which viewers ignore
        ImageOps.exif_transpose(image, in_place=True)
    return image


def orientation(image: "Image.Image") -> int:
    """EXIF orientation in the header, 1 to 8: 1 is upright, and from 5 on height and width change places."""
    if image.format == "PNG" and "exif" not in image.info:  # else Pillow would read all pixels to reach it
        return 1
    with suppress(Exception):
        found = int(image.getexif().get(ORIENTATION, 1))
        return found if 1 <= found <= 8 else 1
    return 1


def is_deep(image: "Image.Image") -> bool:
    """Return whether pixels have more than 8 bits, or a sign."""
    return image.mode == "F" or image.mode.startswith("I") or _signed_bytes(image)


def format_range(image: "Image.Image") -> ValueRange | None:
    """Return the range of a deep format: 16 bits, or the bits of a TIFF; None for a sign, 32 bits and floats."""
    if image.mode == "F" or image.format not in FULL_RANGE | {"TIFF"}:
        return None
    if image.format != "TIFF":
        return ValueRange(0, 2**16 - 1)
    bits = _tiff_tag(image, BITS, 1)
    if _tiff_tag(image, SAMPLE_FORMAT, UNSIGNED) != UNSIGNED or bits > 16:
        return None
    return ValueRange(*((2**bits - 1, 0) if _tiff_tag(image, PHOTOMETRIC, 1) == WHITE_IS_ZERO else (0, 2**bits - 1)))


class UsedRange(NamedTuple):
    """Highest value of an image of more than 8 bits, as a share of its format's range."""

    share: float
    grey: bool  # else Pillow keeps the upper 8 bits of each channel


def used_range(image: "Image.Image") -> UsedRange | None:
    """Return the range that an image of more than 8 bits uses; None for other images and formats without a range."""
    wide = ";16" in str(image.tile)  # type: ignore[attr-defined]  # of opened files: the raw mode, such as "RGB;16B"
    if is_deep(image):
        found = format_range(image)
        return found and UsedRange(float(_values(image).max()) / max(found), grey=True)
    return UsedRange(np.asarray(image.convert("RGB")).max() / 255, grey=False) if wide else None


def clipped_share(image: "Image.Image", shown: ValueRange | None) -> float:
    """Share of an image's deep pixels that lie beyond `shown`; 0 for other images and without a range."""
    if shown is None or not is_deep(image):
        return 0.0
    values = _values(image)
    return float(((values < min(shown)) | (values > max(shown))).mean())


def has_frames(image: "Image.Image") -> bool:
    """Return True for animations and multi-page files; the second picture of a camera's MPO is a preview."""
    return getattr(image, "is_animated", False) and image.format != "MPO"


def _stated_range(image: "Image.Image", name: str) -> ValueRange:
    found = format_range(image)
    if found is None:
        kind = "float" if image.mode == "F" else "signed 8-bit" if image.mode == "L" else "integer"
        raise UserError(
            f"the image {name} has {kind} pixels (mode {image.mode} of {image.format}), whose file does not say which "
            "values are black and white; add them to --data, such as ?range=0..1, or convert the images to 8 bits"
        )
    return found


def _scaled(image: "Image.Image", shown: ValueRange) -> "Image.Image":
    """Scale grey values from `shown` to 0 … 255; NaN is black."""
    from PIL import Image

    grey = np.nan_to_num(_shares(image, shown) * 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def shares(image: "Image.Image", name: str, shown: ValueRange | None) -> NDArray[np.float64]:
    """Scale deep grey values from `shown`, or else from the range of their format, to 0 … 1; NaN is 0. -> [H, W].

    Raises `UserError` for pixels without a range.
    """
    return np.nan_to_num(_shares(image, shown or _stated_range(image, name)))


def _shares(image: "Image.Image", shown: ValueRange) -> NDArray[np.float64]:
    values, clear = _values(image), image.info.get("transparency")
    share = (values - shown.black) / (shown.white - shown.black)
    if isinstance(clear, int):
        share[values == clear] = 1
    return share.clip(0, 1)


def _values(image: "Image.Image") -> NDArray[np.float64]:
    values = np.asarray(image)
    return (values.view(np.int8) if _signed_bytes(image) else values).astype(np.float64)


def _signed_bytes(image: "Image.Image") -> bool:
    """Return True for signed bytes of a TIFF, which Pillow reads as unsigned."""
    return image.mode == "L" and image.format == "TIFF" and _tiff_tag(image, SAMPLE_FORMAT, UNSIGNED) == SIGNED


def _tiff_tag(image: "Image.Image", tag: int, default: int) -> int:
    value = image.tag_v2.get(tag, default)  # type: ignore[attr-defined]  # of TIFF images
    return int(value[0] if isinstance(value, tuple) else value)


def _over_white(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    pixels = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", pixels.size, "white"), pixels).convert("RGB")
