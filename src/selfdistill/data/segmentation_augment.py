"""Joint augmentation of images and masks: random scale, random crop, horizontal flip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selfdistill.data.augment import normalized
from selfdistill.data.ignored import IGNORED
from selfdistill.data.masked_files import MaskedImage
from selfdistill.data.masked_images import MaskedSplits
from selfdistill.errors import UserError

SCALES = (0.5, 2.0)


class ScaleCropParams(NamedTuple):
    """Random parameters of each image of a batch; they do not depend on the images' sizes."""

    scale: Tensor  # [B] float64
    top: Tensor  # [B] float64 in [0, 1): place of the crop among all that there are
    left: Tensor  # [B] float64
    flipped: Tensor  # [B] bool

    def rows(self, rows: slice) -> "ScaleCropParams":
        """Parameters of some of the images."""
        return ScaleCropParams(*(each[rows] for each in self))


class Window(NamedTuple):
    """Place of a crop in a resized image, in pixels."""

    height: int  # of the resized image
    width: int
    top: int  # below 0 where the crop begins in the padding
    left: int
    flipped: bool = False


@dataclass(frozen=True)
class SegmentationAugmentation:
    """Random scale, random crop and random horizontal flip of images with their masks, then normalization.

    `crop` is the height and width of the results in pixels. An image is resized by a factor drawn from `scales`; with
    `base`, factor 1 makes its shorter side that long. Padding is the mean color in the image and -100 in the mask.
    Images are resized bilinearly, with antialiasing where they shrink, and masks to the nearest pixel. The result of a
    row depends on its image and parameters alone. `mean` and `std` by channel, of pixels from 0 to 1.
    """

    crop: tuple[int, int]
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scales: tuple[float, float] = SCALES
    base: int | None = None

    def __post_init__(self) -> None:
        low, high = self.scales
        if not 0 < low <= high < float("inf"):
            raise UserError(
                f"scales are a lowest and a highest factor above 0, such as {SCALES}, but got {self.scales}"
            )
        if min(self.crop) < 1 or (self.base is not None and self.base < 1):
            raise UserError(f"a crop and a shorter side have one pixel at least, but got {self.crop} and {self.base}")

    def draw(self, rows: int, generator: Generator) -> ScaleCropParams:
        """Draw the parameters of `rows` images."""
        scale, top, left, coin = torch.rand(4, rows, generator=generator, dtype=torch.float64)
        low, high = self.scales
        return ScaleCropParams(low + (high - low) * scale, top, left, (coin < 0.5) & self.flip)

    def __call__(self, pairs: Sequence[MaskedImage], params: ScaleCropParams) -> tuple[Tensor, Tensor]:
        """Scale, crop, flip and normalize. -> [B, 3, h, w] float32 in channels_last, [B, h, w] int64."""
        crops = [self.cropped(pair, params, row) for row, pair in enumerate(pairs)]
        images, masks = (torch.stack(each) for each in zip(*crops, strict=True))
        return self.normalize(images), masks.long()

    def cropped(self, pair: MaskedImage, params: ScaleCropParams, row: int) -> MaskedImage:
        """Scale, crop and flip one image and its mask. -> [3, h, w] uint8, [h, w] int16."""
        return crop_pair(pair, self.window(pair.mask.shape, params, row), self.crop, self.fill)

    def window(self, size: Sequence[int], params: ScaleCropParams, row: int) -> Window:
        """Crop of an image of `size` (height, width) by the parameters of a row."""
        factor = float(params.scale[row]) * (1 if self.base is None else self.base / min(size))
        height, width = (max(round(side * factor), 1) for side in size)
        top = _offset(float(params.top[row]), height - self.crop[0])
        left = _offset(float(params.left[row]), width - self.crop[1])
        return Window(height, width, top, left, bool(params.flipped[row]))

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize pixels from 0 to 255 by mean and standard deviation. [B, 3, H, W] -> the same, float32."""
        return normalized(images, self.mean, self.std).contiguous(memory_format=torch.channels_last)

    def resized(self, image: Tensor) -> Tensor:
        """Resize the shorter side to `base`, as for an evaluation; without `base` unchanged. [3, H, W] uint8."""
        if self.base is None:
            return image
        height, width = image.shape[1:]
        factor = self.base / min(height, width)
        return resize_image(image, max(round(height * factor), 1), max(round(width * factor), 1))

    @property
    def fill(self) -> Tensor:
        """Mean color. -> [3] uint8."""
        return (torch.tensor(self.mean) * 255).round().to(torch.uint8)


def default_segmentation_augmentation(
    splits: MaskedSplits, crop: int | tuple[int, int], *, base: int | None = None
) -> SegmentationAugmentation:
    """Augmentation for crops of `crop` pixels (a side, or height and width); `base` is the shorter side at scale 1."""
    size = (crop, crop) if isinstance(crop, int) else crop
    return SegmentationAugmentation(size, splits.flip, splits.mean, splits.std, base=base)


def crop_pair(pair: MaskedImage, window: Window, size: tuple[int, int], fill: Tensor) -> MaskedImage:
    """Crop a window of `size` (h, w) from a resized image and its mask. `fill` [3] uint8 is the color of the padding.

    The image equals a bilinear resize of the whole and then a crop, but costs no more than the crop.

    >>> pair = MaskedImage(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.ones(4, 4, dtype=torch.int16))
    >>> crop_pair(pair, Window(8, 8, 0, 6), (2, 4), torch.zeros(3, dtype=torch.uint8)).mask
    tensor([[   1,    1, -100, -100],
            [   1,    1, -100, -100]], dtype=torch.int16)
    """
    image, mask = pair
    rows, columns = _places(window.top, size[0]), _places(window.left, size[1])
    if window.flipped:
        columns = columns.flip(0)
    outside = ((rows < 0) | (rows >= window.height))[:, None] | (columns < 0) | (columns >= window.width)
    if window.height < image.shape[1] or window.width < image.shape[2]:
        image = resize_image(image, window.height, window.width)
    pixels = _bilinear(image, rows, columns, window)
    ids = mask[_nearest(rows, mask.shape[0], window.height)][:, _nearest(columns, mask.shape[1], window.width)]
    return MaskedImage(torch.where(outside, fill[:, None, None], pixels), ids.masked_fill(outside, IGNORED))


def resize_image(image: Tensor, height: int, width: int) -> Tensor:
    """Resize bilinearly with antialiasing. [3, H, W] uint8 -> [3, height, width] uint8."""
    if image.shape[1:] == (height, width):
        return image
    thin = 1 in (*image.shape[1:], height, width)  # torch's kernel for bytes takes their order for channels_last
    pixels = image[None].float() if thin else image[None]
    return F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)[0].round().to(torch.uint8)


def _offset(share: float, free: int) -> int:
    """Place of a crop among `free` + 1 ones; where the image is smaller than the crop, among those that hold it."""
    return int(share * (abs(free) + 1)) + min(free, 0)


def _places(first: int, count: int) -> Tensor:
    """Rows or columns of a crop, in the resized image. -> [count] float64."""
    return torch.arange(first, first + count, dtype=torch.float64)


def _nearest(places: Tensor, length: int, resized: int) -> Tensor:
    """Pixels whose areas hold the centers of resized ones. [M] -> [M] int64."""
    return ((places + 0.5) * (length / resized)).floor().long().clamp(0, length - 1)


def _bilinear(image: Tensor, rows: Tensor, columns: Tensor, window: Window) -> Tensor:
    """Values at places of a resized image. [3, H, W] uint8 -> [3, h, w] uint8.

    Products and sums are operations of their own: rounded alike in every thread and batch.
    """
    height, width = image.shape[1:]
    if (height, width) == (window.height, window.width):
        return image[:, _nearest(rows, height, height)][:, :, _nearest(columns, width, width)]
    top, bottom, down = _neighbors(rows, height, window.height)
    left, right, along = _neighbors(columns, width, window.width)
    used = image[:, :, int(left.min()) : int(right.max()) + 1]
    lines = used[:, top] * (1 - down)[:, None] + used[:, bottom] * down[:, None]  # [3, h, …]
    first = left.min()
    pixels = lines[:, :, left - first] * (1 - along) + lines[:, :, right - first] * along
    return pixels.round().to(torch.uint8)


def _neighbors(places: Tensor, length: int, resized: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels before and after places of a resized image, and the weight of the one after. [M] -> [M] each."""
    source = ((places + 0.5) * (length / resized) - 0.5).clamp(0, length - 1)
    before = source.floor()
    return before.long(), (before + 1).clamp(max=length - 1).long(), (source - before).float()
