"""An image decoded whole in the channels and bits of a run, before it is resized: as of Pillow, or as values."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from selfdistill.data.center_crop import WHOLE, CenterCrop
from selfdistill.data.formatted_pixels import formatted_pixels, resize_values
from selfdistill.data.grey import to_grey
from selfdistill.data.pixel_format import GREY, PixelFormat
from selfdistill.data.rgb import ValueRange, to_rgb

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

SHOWN = PixelFormat()  # as a viewer shows images

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.int32]  # [C, H, W]
Whole: TypeAlias = "Image.Image | NDArray[np.float32]"  # in RGB, or [H, W, C] of another format


def read_whole(
    image: "Image.Image", source: bytes | Path, name: str, shown: ValueRange | None, form: PixelFormat = SHOWN
) -> Whole:
    """Read an opened image: in RGB as a viewer shows it, or with all channels and bits. Raises `UserError`."""
    return to_rgb(image, name, shown) if form.is_shown else formatted_pixels(image, source, name, form, shown)


def size_of(whole: Whole) -> tuple[int, int]:
    """Width and height in pixels."""
    return (whole.shape[1], whole.shape[0]) if isinstance(whole, np.ndarray) else whole.size


def resize_and_crop(whole: Whole, size: int, form: PixelFormat = SHOWN, crop: CenterCrop = WHOLE) -> Whole:
    """Resize the shorter side by `crop` and crop the center of `size` pixels a side."""
    from PIL import Image

    scale, resampling = crop.shorter(size) / min(size_of(whole)), Image.Resampling[crop.interpolation.upper()]
    width, height = (max(round(each * scale), size) for each in size_of(whole))
    left, top = (width - size) // 2, (height - size) // 2
    if isinstance(whole, np.ndarray):
        values = resize_values(whole, (width, height), form.largest, resampling)
        return values[top : top + size, left : left + size]
    smooth = whole.resize((width, height), resampling)
    return smooth.crop((left, top, left + size, top + size))


def to_pixels(whole: Whole, form: PixelFormat = SHOWN) -> Pixels:
    """Return the pixels as a data set has them; of colors the luminance for one channel. -> [C, H, W]."""
    found = np.ascontiguousarray(np.asarray(whole).transpose(2, 0, 1))
    if not form.is_shown:
        return found.astype(form.numpy_dtype)
    luminance: NDArray[np.uint8] = to_grey(torch.from_numpy(found)[None])[0].numpy() if form.channels == GREY else found
    return luminance
