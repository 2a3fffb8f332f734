"""Files and bytes into pixels; what cannot be decoded is named."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from selfdistill.errors import UserError

Source = bytes | Path


def decode(sources: Sequence[Source], names: Callable[[int], str], size: int | None) -> Tensor:
    """Decode images in threads. -> [N, 3, S, S] uint8.

    With `size` S the shorter side is resized to it and the centre cut out; without, all must be squares
    of one size. `names(row)` says which image a message is about. Raises `UserError`.
    """
    if not sources:
        raise UserError(f"there are no images in {names(0)}")
    side = size or _side(sources[0], names(0))
    _require_memory(len(sources), side)
    pixels = torch.empty(len(sources), 3, side, side, dtype=torch.uint8)

    def fill(row: int) -> None:
        pixels[row] = torch.from_numpy(_pixels(sources[row], names(row), side, size is not None, names(0)))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(fill, range(len(sources)), chunksize=64):
            pass  # an error of any thread is raised here
    return pixels


def _open(source: Source, name: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        return image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read the image {name}: {error}; mend or remove it") from None


def _side(source: Source, name: str) -> int:
    image = _open(source, name)
    if image.width != image.height:
        raise UserError(
            f"the image {name} has {image.width}x{image.height} pixels, no square; pass --size, to which the "
            "shorter side is resized and the centre cut out"
        )
    return image.width


def _pixels(source: Source, name: str, side: int, resize: bool, first: str) -> np.ndarray:
    image = _open(source, name)
    if image.size != (side, side):
        if not resize:
            raise UserError(
                f"images differ in size: {first} has {side}x{side} pixels, {name} {image.width}x{image.height}; "
                "pass --size, to which all are resized"
            )
        image = _cut(image, side)
    return np.array(image).transpose(2, 0, 1)  # a copy: PIL's own array cannot be written to


def _cut(image: Image.Image, side: int) -> Image.Image:
    """The centre of the image with its shorter side resized."""
    scale = side / min(image.size)
    width, height = (max(round(each * scale), side) for each in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _require_memory(count: int, side: int) -> None:
    needed, there = count * 3 * side * side, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there / 2:
        raise UserError(
            f"{count} images of {side}x{side} pixels need {needed / 2**30:.1f} GiB, more than half of this machine's "
            f"{there / 2**30:.1f}; pass a smaller --size, or --limit"
        )
