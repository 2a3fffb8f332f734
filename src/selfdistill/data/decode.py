"""Decoding of image files and bytes, with errors that name the images."""

import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from selfdistill.data.center_crop import WHOLE, CenterCrop
from selfdistill.data.pixel_format import PixelFormat
from selfdistill.data.pixels import require_memory
from selfdistill.data.rgb import UsedRange, ValueRange, clipped_share, has_frames, used_range
from selfdistill.data.stored_samples import dropped_channels, has_more_bits
from selfdistill.data.whole_image import SHOWN, Pixels, read_whole, resize_and_crop, size_of, to_pixels
from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

BLOCK = 64  # images per task of a thread
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes, the latter of BigTIFF
NEEDS_TIFFFILE = "images are TIFF files of channels that need tifffile: pip install 'selfdistill[deep]'"
NAMED = 10  # unreadable images that a message names

Sources = Sequence[bytes | Path]
Name = Callable[[int], str]  # names the image of a row in messages


class UnreadableImage(UserError):
    """A broken or missing image, or a file that is not an image."""

    def __init__(self, name: str, reason: str):
        self.name, self.reason = name, reason
        super().__init__(f"cannot read the image {name}: {reason}; repair or remove it, or pass --skip-unreadable")


class UnreadableImages(UserError):
    """All unreadable images among those that were read; the text has their count and the first names."""

    def __init__(self, errors: Sequence[UnreadableImage]):
        self.errors = errors
        many = f"cannot read {len(errors)} images: {in_words(errors)}; repair or remove them, or pass --skip-unreadable"
        super().__init__(str(errors[0]) if len(errors) == 1 else many)


def decode(
    sources: Sources,
    name: Name,
    size: int | None,
    shown: ValueRange | None = None,
    form: PixelFormat = SHOWN,
    crop: CenterCrop = WHOLE,
) -> Tensor:
    """Decode images in threads. -> [N, C, S, S] uint8, or int32 of 16 bits.

    With `size` S the shorter side is resized and the center cropped by `crop`; without, all images must be squares of
    one size. `shown` is the range of deep pixels. Raises `UserError`, with the count and names of all unreadable ones.
    """
    side = size or first_side(sources, name, form)
    require_memory(len(sources), side, form.bytes)
    pixels = np.empty((len(sources), form.channels, side, side), dtype=form.numpy_dtype)

    def fill(row: int) -> None:
        pixels[row] = decode_one(sources, row, name, size, side, shown, form, crop)

    require_readable(each_unreadable(fill, len(sources)).values())
    return torch.from_numpy(pixels)


def decode_one(
    sources: Sources,
    row: int,
    name: Name,
    size: int | None,
    side: int,
    shown: ValueRange | None = None,
    form: PixelFormat = SHOWN,
    crop: CenterCrop = WHOLE,
) -> Pixels:
    """Decode one image; without `size` its side must be `side`. -> [C, S, S]."""
    with reading(sources[row], name(row), form) as opened:
        image = read_whole(opened, sources[row], name(row), shown, form)
    if not size:
        _require_side(size_of(image), sources, row, name, side, form)
    if size or crop.crop_pct < 1:
        image = resize_and_crop(image, side, form, crop)
    return to_pixels(image, form)


def require_side(sources: Sources, row: int, name: Name, side: int, form: PixelFormat = SHOWN) -> None:
    """Raise `UserError` unless an image has the given side; reads only its header."""
    with reading(sources[row], name(row), form) as image:
        _require_side(image.size, sources, row, name, side, form)


def require_whole(sources: Sources, row: int, name: Name, form: PixelFormat = SHOWN) -> None:
    """Raise `UnreadableImage` unless all pixels of an image can be read."""
    with reading(sources[row], name(row), form) as image:
        image.load()


class Probe(NamedTuple):
    """Properties of an image that its pixels do not show."""

    used: UsedRange | None  # of more than 8 bits
    clipped: float  # share of pixels
    frames: bool  # more than one
    deep: bool  # more bits than are read
    channels: int = 0  # of the file, where some of them are not read


def probe(source: bytes | Path, name: str, shown: ValueRange | None = None, form: PixelFormat = SHOWN) -> Probe | None:
    """Inspect one image; None if it is unreadable."""
    try:
        with reading(source, name, form) as image:
            deep, channels = has_more_bits(image, form.bits, shown), dropped_channels(image)
            if not form.is_shown:
                return Probe(None, 0.0, has_frames(image), deep)
            return Probe(used_range(image), clipped_share(image, shown), has_frames(image), deep, channels)
    except UnreadableImage:  # named when all are read
        return None


def each_unreadable(check: Callable[[int], None], count: int) -> dict[int, UnreadableImage]:
    """Call `check` for rows below `count` in threads; return the unreadable images by row."""

    def check_block(start: int) -> dict[int, UnreadableImage]:
        found = {}
        for row in range(start, min(start + BLOCK, count)):
            try:
                check(row)
            except UnreadableImage as error:
                found[row] = error
        return found

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        blocks = threads.map(check_block, range(0, count, BLOCK))
        return {row: error for block in blocks for row, error in block.items()}


def require_readable(errors: Iterable[UnreadableImage]) -> None:
    """Raise `UnreadableImages` if there are any."""
    if errors := list(errors):
        raise UnreadableImages(errors)


def in_words(errors: Sequence[UnreadableImage]) -> str:
    """Format the first names, each with its reason."""
    more = f", and {len(errors) - NAMED} more" if len(errors) > NAMED else ""
    return ", ".join(f"{each.name} ({each.reason})" for each in errors[:NAMED]) + more


def first_side(sources: Sources, name: Name, form: PixelFormat = SHOWN) -> int:
    """Side length of the first readable image in pixels; raises `UserError` if it is not square or there is none."""
    errors = []
    for row, source in enumerate(sources):
        try:
            return _square_side(source, name(row), form)
        except UnreadableImage as error:
            errors.append(error)
    raise UnreadableImages(errors)


def _square_side(source: bytes | Path, name: str, form: PixelFormat) -> int:
    with reading(source, name, form) as image:
        width, height = image.size
    if width != height:
        raise UserError(
            f"the image {name} has {width}x{height} pixels and is not square; pass --size to resize "
            "the shorter side and crop the center"
        )
    return width


def _require_side(size: tuple[int, int], sources: Sources, row: int, name: Name, side: int, form: PixelFormat) -> None:
    if size != (side, side):
        first = next(
            (k for k in range(row) if probe(sources[k], name(k), form=form)), 0
        )  # the readable one that gave the side
        raise UserError(
            f"images differ in size: {name(first)} has {side}x{side} pixels, {name(row)} "
            f"{size[0]}x{size[1]}; pass --size to resize all"
        )


@contextmanager
def reading(source: bytes | Path, name: str, form: PixelFormat = SHOWN) -> "Iterator[Image.Image]":
    """Open an image; convert errors to `UnreadableImage`.

    With other channels or bits than a viewer's, TIFF files are opened that Pillow does not know.
    """
    from PIL import UnidentifiedImageError

    try:
        with _opened(source, form) as image:
            yield image
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(name, _unidentified(source)) from None
    except Exception as error:  # PIL raises a dozen types on broken files
        raise UnreadableImage(name, _reason(error)) from None


def _reason(error: Exception) -> str:
    """Return in plain words why an image cannot be read, with those of Pillow where they may tell more."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "truncat" in str(error).lower():
        return f"its end is missing, as after a broken copy: {error}"
    return (
        f"its data are damaged: {error}"
        if isinstance(error, OSError | SyntaxError)
        else f"{type(error).__name__}: {error}"
    )


def _opened(source: bytes | Path, form: PixelFormat) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else _regular(source))
    except UnidentifiedImageError:
        if form.is_shown or not _is_tiff(source):
            raise
    try:
        from selfdistill.data.tiff_image import TiffImage
    except ImportError:
        raise UserError(NEEDS_TIFFFILE) from None
    return TiffImage(source)


def _unidentified(source: bytes | Path) -> str:
    if _empty(source):
        return "it is empty"
    if _is_tiff(source):
        return "it is a TIFF of channels or bits that no viewer shows, which --channels and --bits read"
    return "it has no known image format"


def _is_tiff(source: bytes | Path) -> bool:
    if isinstance(source, bytes):
        return source.startswith(TIFF)
    with source.open("rb") as file:
        return file.read(4).startswith(TIFF)


def _empty(source: bytes | Path) -> bool:
    return not (source.stat().st_size if isinstance(source, Path) else source)


def _regular(path: Path) -> Path:
    """Return the path of a file; raise `OSError` for special files such as a FIFO, which would block."""
    if not path.is_file() and path.exists():
        raise OSError(errno.EINVAL, "it is not a regular file")
    return path
