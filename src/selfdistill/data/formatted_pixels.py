"""Conversion of stored channels and bits to those that a run asks for, and resizing of any number of channels."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.grey import BLUE, GREEN, RED
from selfdistill.data.pixel_format import GREY, RGB, PixelFormat
from selfdistill.data.rgb import ValueRange
from selfdistill.data.stored_samples import Samples, stored_samples
from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

RGBA = 4  # channels
LUMINANCE = np.array([RED, GREEN, BLUE]) / 2**16


def formatted_pixels(
    image: "Image.Image", source: bytes | Path, name: str, form: PixelFormat, shown: ValueRange | None = None
) -> NDArray[np.float32]:
    """Read an opened image with the channels and bits of `form`. -> [H, W, C] from 0 to its largest value.

    Alpha is kept as the fourth channel, and opaque where a file has none; with fewer channels an image is composited
    over white. Raises `UserError` for a file of another number of channels.
    """
    found = stored_samples(image, source, name, shown)
    values = found.values.astype(np.float64) * (form.largest / found.largest)
    return _with_channels(values, found, name, form).round().astype(np.float32)


def _with_channels(values: NDArray[Any], found: Samples, name: str, form: PixelFormat) -> NDArray[Any]:
    """Add or remove color and alpha. [H, W, S] -> [H, W, C]."""
    stored, wanted = values.shape[2], form.channels
    if stored == wanted:
        return values
    colors = stored - found.alpha
    if colors not in (GREY, RGB) or wanted not in (GREY, RGB, RGBA):
        raise UserError(
            f"the image {name} has {stored} channel{'s' * (stored > 1)}, not {wanted}; pass --channels {stored} if all "
            "images have these, or leave out or convert those of other channels"
        )
    color, alpha = values[..., :colors], values[..., colors:] if found.alpha else None
    if wanted == RGBA:
        opaque = np.full_like(values[..., :1], form.largest) if alpha is None else alpha
        return np.concatenate([np.broadcast_to(color, (*color.shape[:2], RGB)), opaque], axis=2)
    if alpha is not None:
        color = form.largest + (color - form.largest) * alpha / form.largest
    if wanted == GREY:
        return color if colors == GREY else color @ LUMINANCE[:, None]
    return np.broadcast_to(color, (*color.shape[:2], RGB))


def resize_values(
    values: NDArray[np.float32], size: tuple[int, int], largest: int, resampling: "Image.Resampling | None" = None
) -> NDArray[np.float32]:
    """Resize each channel to `size` (width, height) by a filter of Pillow; None: bicubic. [H, W, C]."""
    from PIL import Image

    resampling = Image.Resampling.BICUBIC if resampling is None else resampling
    planes = [Image.fromarray(each) for each in np.ascontiguousarray(values.transpose(2, 0, 1))]
    resized = [np.asarray(each.resize(size, resampling)) for each in planes]
    return np.stack(resized, axis=2).round().clip(0, largest)
