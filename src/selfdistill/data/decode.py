"""Decoding of image files and bytes, with errors that name the image."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.data.pixels import require_memory
from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

BLOCK = 64  # images per task of a thread


def decode(sources: Sequence[bytes | Path], name: Callable[[int], str], size: int | None) -> Tensor:
    """Decode images in threads. -> [N, 3, S, S] uint8.

    With `size` S the shorter side is resized to S and the center cropped; without, all images must be squares
    of one size. `name(row)` names an image in messages. Raises `UserError`.
    """
    side = size or square_side(sources[0], name(0))
    require_memory(len(sources), side)
    pixels = np.empty((len(sources), 3, side, side), dtype=np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + BLOCK, len(sources))):
            pixels[row] = decode_one(sources, row, name, size, side)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(fill, range(0, len(sources), BLOCK)):
            pass  # the error of the first row that has one is raised here
    return torch.from_numpy(pixels)


def decode_one(
    sources: Sequence[bytes | Path], row: int, name: Callable[[int], str], size: int | None, side: int
) -> NDArray[np.uint8]:
    """Decode one image; without `size` its side must be `side`. -> [3, S, S] uint8."""
    image = _open(sources[row], name(row))
    if size:
        image = _resize_and_crop(image, size)
    else:
        _require_side(image.size, row, name, side)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def require_side(sources: Sequence[bytes | Path], row: int, name: Callable[[int], str], side: int) -> None:
    """Raise `UserError` unless an image has the given side; reads only its header."""
    with _reading(sources[row], name(row)) as image:
        _require_side(image.size, row, name, side)


def _require_side(size: tuple[int, int], row: int, name: Callable[[int], str], side: int) -> None:
    if size != (side, side):
        raise UserError(
            f"images differ in size: {name(0)} has {side}x{side} pixels, {name(row)} "
            f"{size[0]}x{size[1]}; pass --size to resize all"
        )


def square_side(source: bytes | Path, name: str) -> int:
    """Side length of a square image in pixels; raises `UserError` if it is not square."""
    image = _open(source, name)
    if image.width != image.height:
        raise UserError(
            f"the image {name} has {image.width}x{image.height} pixels and is not square; pass --size to resize "
            "the shorter side and crop the center"
        )
    return image.width


def _open(source: bytes | Path, name: str) -> "Image.Image":
    with _reading(source, name) as image:
        return image.convert("RGB")


@contextmanager
def _reading(source: bytes | Path, name: str) -> "Iterator[Image.Image]":
    """Open an image; convert errors to `UserError` with its name."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except UserError:
        raise
    except Exception as error:  # PIL raises a dozen types on broken files
        known = not isinstance(error, UnidentifiedImageError)
        reason = f"{type(error).__name__}: {error}" if known else "it has no known image format"
        raise UserError(f"cannot read the image {name}: {reason}; repair or remove it") from None


def _resize_and_crop(image: "Image.Image", size: int) -> "Image.Image":
    """Resize the shorter side and crop the center."""
    from PIL import Image

    scale = size / min(image.size)
    width, height = (max(round(each * scale), size) for each in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    smooth = image.resize((width, height), Image.Resampling.BICUBIC)
    return smooth.crop((left, top, left + size, top + size))
