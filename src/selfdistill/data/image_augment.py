"""Augmentation of one image: random resized crop, policy, jitter; each draws by the image's key alone."""

import math
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as V

from selfdistill.data.augment_recipe import AugmentRecipe
from selfdistill.data.image_operations import Picture, apply_operation
from selfdistill.data.policies import draw_operations

RATIOS = (3 / 4, 4 / 3)  # width by height of a random resized crop
TRIES = 10  # of a crop that fits into the image, as in torchvision
ERASED, ERASED_RATIOS = (0.02, 0.33), (0.3, 3.3)  # area and height by width of random erasing, as in torchvision
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class ImageAugmentation:
    """Changes of one image, in this order: random resized crop, policy, color jitter; erasing is last of all.

    `crop_scale` is the range of a crop's area as a share of the image's; `policy` is a policy's name; `jitter` is the
    largest change of brightness, contrast and saturation; `erase` the probability of random erasing.
    """

    crop_scale: tuple[float, ...] | None = None
    policy: str | None = None
    jitter: float = 0.0
    erase: float = 0.0
    interpolation: str = "bicubic"  # of resized crops

    def __call__(self, image: Tensor, key: int) -> Tensor:
        """Crop and recolor an image, at its own size. [C, H, W] uint8 -> [C, H, W] uint8."""
        height, width = image.shape[-2:]
        if self.crop_scale is not None:
            box = self.box(height, width, key)
            mode = MODES[self.interpolation]
            image = V.resized_crop(image, *box, size=[height, width], interpolation=mode, antialias=True)
        recolored: Any = self.recolor(image, height, width, key)
        return torch.as_tensor(recolored)

    def box(self, height: int, width: int, key: int) -> Box:
        """Draw the crop of an image of `height` x `width` pixels."""
        if self.crop_scale is None:
            raise ValueError("no random resized crops")
        return draw_box(height, width, self.crop_scale, stream(key, "crop"))

    def recolor(self, image: Picture, height: int, width: int, key: int) -> Picture:
        """Apply the policy and the jitter to an image of `height` x `width` pixels."""
        if self.policy is not None:
            for operation in draw_operations(self.policy, height, width, stream(key, "policy")):
                image = apply_operation(image, operation)
        return _jittered(image, self.jitter, stream(key, "jitter")) if self.jitter else image

    def erase_(self, images: Tensor, keys: Tensor) -> Tensor:
        """Set a rectangle of some normalized images to 0, in place. [B, C, H, W], [B] int64."""
        for image, key in zip(images, keys.tolist(), strict=True):
            draws = stream(key, "erase")
            if torch.rand((), generator=draws) < self.erase:
                top, left, height, width = draw_erased(image.shape[-2], image.shape[-1], draws)
                image[:, top : top + height, left : left + width] = 0
        return images


def image_augmentation(recipe: AugmentRecipe) -> ImageAugmentation | None:
    """Return what a recipe does image by image; None for nothing."""
    parts = recipe.crop_scale, recipe.policy, recipe.jitter, recipe.erase
    return ImageAugmentation(*parts, recipe.interpolation) if any(parts) else None


def stream(key: int, part: str) -> Generator:
    """Create the random stream of a part of an image's augmentation, so that no part changes another's draws."""
    return Generator().manual_seed(key ^ zlib.crc32(part.encode()))


def draw_box(height: int, width: int, scale: tuple[float, ...], draws: Generator) -> Box:
    """Draw a random resized crop as torchvision does: area, aspect ratio, place; the center if none fits."""
    for _ in range(TRIES):
        area, ratio = _area_and_ratio(scale, RATIOS, draws)
        wide, high = (round(math.sqrt(height * width * area * each)) for each in (ratio, 1 / ratio))
        if 0 < wide <= width and 0 < high <= height:
            return _placed(height, width, high, wide, draws)
    return _center(height, width)


def draw_erased(height: int, width: int, draws: Generator) -> Box:
    """Draw a rectangle to erase; empty if none fits."""
    for _ in range(TRIES):
        area, ratio = _area_and_ratio(ERASED, ERASED_RATIOS, draws)
        high, wide = (round(math.sqrt(height * width * area * each)) for each in (ratio, 1 / ratio))
        if high < height and wide < width:
            return _placed(height, width, high, wide, draws)
    return Box(0, 0, 0, 0)


def _area_and_ratio(areas: tuple[float, ...], ratios: tuple[float, float], draws: Generator) -> tuple[float, float]:
    """Draw an area uniformly, and a ratio whose logarithm is uniform."""
    first, second = torch.rand(2, generator=draws).tolist()
    low, high = map(math.log, ratios)
    return areas[0] + first * (areas[1] - areas[0]), math.exp(low + second * (high - low))


def _placed(height: int, width: int, high: int, wide: int, draws: Generator) -> Box:
    top, left = (int(torch.randint(each + 1, (), generator=draws)) for each in (height - high, width - wide))
    return Box(top, left, high, wide)


def _center(height: int, width: int) -> Box:
    """Return the largest rectangle in the center whose ratio is allowed."""
    wide, high = min(width, round(height * RATIOS[1])), min(height, round(width / RATIOS[0]))
    return Box((height - high) // 2, (width - wide) // 2, high, wide)


def _jittered(image: Picture, most: float, draws: Generator) -> Picture:
    """Change brightness, contrast and saturation by factors from 1 - `most` to 1 + `most`, in a random order."""
    changes = (V.adjust_brightness, V.adjust_contrast, V.adjust_saturation)
    factors = (1 + most * (2 * torch.rand(len(changes), generator=draws) - 1)).clamp(min=0).tolist()
    for each in torch.randperm(len(changes), generator=draws).tolist():
        image = changes[each](image, factors[each])
    return image
