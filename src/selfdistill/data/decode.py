"""Files and bytes into pixels; what cannot be decoded is named."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from selfdistill.data.pixels import require_memory
from selfdistill.errors import UserError

if TYPE_CHECKING:  # loaded when the first image is
    from PIL import Image

BLOCK = 64  # images a thread decodes at a time


def decode(sources: Sequence[bytes | Path], name: Callable[[int], str], size: int | None) -> Tensor:
    """Decode one image or more in threads. -> [N, 3, S, S] uint8.

    With `size` S the shorter side is resized to it and the centre cut out; without, all must be squares
    of one size. `name(row)` is what a message calls an image. Raises `UserError`.
    """
    side = size or side_of(sources[0], name(0))
    require_memory(len(sources), side)
    pixels = np.empty((len(sources), 3, side, side), dtype=np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + BLOCK, len(sources))):
            pixels[row] = picture(sources, row, name, size, side)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(fill, range(0, len(sources), BLOCK)):
            pass  # the error of the first row that has one is raised here
    return torch.from_numpy(pixels)


def picture(
    sources: Sequence[bytes | Path], row: int, name: Callable[[int], str], size: int | None, side: int
) -> np.ndarray:
    """One image, resized where a size is wanted and of the first one's size otherwise. -> [3, S, S] uint8."""
    image = _open(sources[row], name(row))
    if size:
        image = _cut(image, size)
    else:
        _require(image.size, row, name, side)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def require_side(sources: Sequence[bytes | Path], row: int, name: Callable[[int], str], side: int) -> None:
    """Raise `UserError` for an image of another size than the first one's; only its header is read."""
    with _reading(sources[row], name(row)) as image:
        _require(image.size, row, name, side)


def _require(size: tuple[int, int], row: int, name: Callable[[int], str], side: int) -> None:
    if size != (side, side):
        raise UserError(
            f"images differ in size: {name(0)} has {side}x{side} pixels, {name(row)} "
            f"{size[0]}x{size[1]}; pass --size, to which all are resized"
        )


def side_of(source: bytes | Path, name: str) -> int:
    """Pixels of a square image's side; raises `UserError` for another."""
    image = _open(source, name)
    if image.width != image.height:
        raise UserError(
            f"the image {name} has {image.width}x{image.height} pixels, no square; pass --size, to which the "
            "shorter side is resized and the centre cut out"
        )
    return image.width


def _open(source: bytes | Path, name: str) -> "Image.Image":
    with _reading(source, name) as image:
        return image.convert("RGB")


@contextmanager
def _reading(source: bytes | Path, name: str) -> "Iterator[Image.Image]":
    """An open image; what goes wrong is said with its name."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except UserError:
        raise
    except Exception as error:  # PIL's formats raise a dozen kinds on broken files
        known = not isinstance(error, UnidentifiedImageError)
        reason = f"{type(error).__name__}: {error}" if known else "it has no known image format"
        raise UserError(f"cannot read the image {name}: {reason}; mend or remove it") from None


def _cut(image: "Image.Image", size: int) -> "Image.Image":
    """The centre of the image with its shorter side resized."""
    from PIL import Image

    scale = size / min(image.size)
    width, height = (max(round(each * scale), size) for each in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    smooth = image.resize((width, height), Image.Resampling.BICUBIC)
    return smooth.crop((left, top, left + size, top + size))
