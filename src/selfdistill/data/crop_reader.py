"""Random resized crops of photographs, read from their files by threads ahead of time."""

import os
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as V

from selfdistill.data.decode import reading
from selfdistill.data.grey import to_grey
from selfdistill.data.image_augment import MODES, Box, ImageAugmentation
from selfdistill.data.lazy import LazyImages
from selfdistill.data.pixel_format import GREY, PixelFormat
from selfdistill.data.rgb import orientation
from selfdistill.data.whole_image import Whole, read_whole, size_of

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

KEPT_CALLS = 32  # crops that are kept unread, in calls of `prefetch`
TURNED = 5  # EXIF orientations from here on exchange height and width

Crop: TypeAlias = NDArray[np.generic]  # [S, S, C]
Size: TypeAlias = tuple[int, int]  # width and height


class CropReader:
    """Crops of files that are decoded whole, each for one image, epoch and view; what is read is forgotten.

    A key is of one augmentation only. `workers` is the number of threads, by default one for each processor; without
    any nothing is read ahead. The crops are the same for all.
    """

    def __init__(self, images: LazyImages, workers: int | None = None):
        self.images = images
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self._pending: OrderedDict[tuple[int, int], Future[Crop]] = OrderedDict()
        self._most = 0  # crops of a `prefetch` call

    def prefetch(self, rows: Tensor, keys: Tensor, augment: ImageAugmentation) -> None:
        """Start reading crops in the background. [B], [B]."""
        if not self.workers:
            return
        self._most = max(self._most, len(rows))
        for place in zip(rows.tolist(), keys.tolist(), strict=True):
            if place not in self._pending:
                self._pending[place] = self._threads.submit(read_crop, self.images, *place, augment)
        while len(self._pending) > KEPT_CALLS * self._most:
            self._pending.popitem(last=False)

    def read(self, rows: Tensor, keys: Tensor, augment: ImageAugmentation) -> Tensor:
        """Return the crop of each row by its key. [B], [B] -> [B, C, S, S], in channels_last."""
        self.prefetch(rows, keys, augment)
        places = zip(rows.tolist(), keys.tolist(), strict=True)
        crops = np.stack([self._taken(row, key, augment) for row, key in places])
        return torch.from_numpy(crops).permute(0, 3, 1, 2)

    def _taken(self, row: int, key: int, augment: ImageAugmentation) -> Crop:
        pending = self._pending.pop((row, key), None)
        return read_crop(self.images, row, key, augment) if pending is None else pending.result()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers, thread_name_prefix="crop")


def read_crop(images: LazyImages, row: int, key: int, augment: ImageAugmentation) -> Crop:
    """Read the random resized crop of one image. -> [S, S, C]; raises `UserError` for an unreadable file."""
    name, source, side, form = images.names[row], images.sources[row], images.side, images.form
    with reading(source, name, form) as opened:
        turned = orientation(opened) >= TURNED
        width, height = opened.size[::-1] if turned else opened.size
        box = augment.box(height, width, key)
        _decode_small(opened, side, box, turned)
        image = read_whole(opened, source, name, images.shown, form)
    cut = _cut(image, _decoded_box(box, (width, height), size_of(image)))
    resized = _in_format(_resized(cut, side, augment.interpolation), form)
    return _recolored(resized, side, key, augment)


def _decode_small(image: "Image.Image", side: int, box: Box, turned: bool) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, if the crop keeps `side` pixels a side."""
    shares = (box.height, box.width) if turned else (box.width, box.height)
    image.draft(None, tuple(ceil(whole * side / part) for whole, part in zip(image.size, shares, strict=True)))  # type: ignore[arg-type]


def _decoded_box(box: Box, whole: Size, decoded: Size) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a box of the whole image in the image as decoded, in whole pixels."""
    x, y = decoded[0] / whole[0], decoded[1] / whole[1]
    right, bottom = round((box.left + box.width) * x), round((box.top + box.height) * y)
    return round(box.left * x), round(box.top * y), min(right, decoded[0]), min(bottom, decoded[1])


def _cut(image: Whole, box: tuple[int, int, int, int]) -> Crop:
    """Cut a box. -> [H, W, C]."""
    left, top, right, bottom = box
    return image[top:bottom, left:right] if isinstance(image, np.ndarray) else np.array(image.crop(box))


def _resized(pixels: Crop, side: int, interpolation: str) -> Crop:
    """Resize with antialiasing, three times faster than Pillow. [H, W, C] -> [S, S, C]."""
    by_channel = torch.from_numpy(pixels).permute(2, 0, 1)  # a view, which stays channels-last
    made: Tensor = V.resize(by_channel, [side, side], MODES[interpolation], antialias=True)
    return np.asarray(made.permute(1, 2, 0))


def _in_format(pixels: Crop, form: PixelFormat) -> Crop:
    """Return luminance for one channel, and whole numbers of other formats, whose edges bicubic weights overshoot."""
    if not form.is_shown:
        return pixels.round().clip(0, form.largest).astype(form.numpy_dtype)
    if form.channels != GREY:
        return pixels
    return to_grey(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


def _recolored(pixels: Crop, side: int, key: int, augment: ImageAugmentation) -> Crop:
    """Apply the policy and the jitter, which are faster on an image of Pillow."""
    from PIL import Image

    if augment.policy is None and not augment.jitter:
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == GREY else pixels)
    return np.atleast_3d(np.asarray(augment.recolor(picture, side, side, key)))
