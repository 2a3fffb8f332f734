"""Augmentation of a batch, with random parameters for each image: batched crop and flip, the rest image by image."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selfdistill.data.augment_recipe import AugmentRecipe
from selfdistill.data.image_augment import ImageAugmentation, image_augmentation
from selfdistill.data.images import Splits
from selfdistill.data.pixel_format import BYTE, GREY, RGB
from selfdistill.errors import UserError

Channels: TypeAlias = tuple[float, ...]
KEYS = 2**62  # a key of an image is below
STRONG = "randaugment"  # policy of a strong view where the augmentation has none


class AugmentParams(NamedTuple):
    """Random parameters of each image of a batch."""

    top: Tensor  # [B] first row of the crop in the padded image
    left: Tensor  # [B] first column
    flipped: Tensor  # [B] bool
    keys: Tensor | None = None  # [B] int64, on the CPU: of the random streams of each image

    def rows(self, rows: slice) -> "AugmentParams":
        """Parameters of some of the images."""
        keys = None if self.keys is None else self.keys[rows]
        return AugmentParams(self.top[rows], self.left[rows], self.flipped[rows], keys)

    def to(self, device: torch.device | str) -> "AugmentParams":
        """Parameters on a device."""
        return AugmentParams(self.top.to(device), self.left.to(device), self.flipped.to(device), self.keys)


@dataclass(frozen=True)
class Augmentation:
    """Random crop with padding, random horizontal flip, normalization: the standard CIFAR recipe.

    `pad` is in pixels (4 for 32); `mean` and `std` by channel, of pixels from 0 to 1. `image` adds what is drawn and
    done image by image. The order: padded or resized crop, policy, jitter, flip, normalization, erasing.
    """

    pad: int
    flip: bool
    mean: Channels
    std: Channels
    image: ImageAugmentation | None = None
    largest: int = 255  # value of a pixel

    def strong(self) -> "Augmentation":
        """Return the augmentation of a strong view: the same with RandAugment, unless it has a policy already.

        Raises `UserError` for pixels without colors, or of 16 bits.
        """
        if len(self.mean) not in (GREY, RGB) or self.largest > 2**BYTE - 1:
            raise UserError(
                f"a strong view changes 8-bit pixels of one or three channels, but these images have {len(self.mean)} "
                f"channels of values up to {self.largest}; choose a method without one, or --channels 1 or none"
            )
        image = self.image or ImageAugmentation()
        return replace(self, image=replace(image, policy=image.policy or STRONG))

    def draw(self, rows: int, generator: Generator) -> AugmentParams:
        """Draw the parameters of `rows` images."""
        top, left = torch.randint(0, 2 * self.pad + 1, (2, rows), generator=generator)
        coin = torch.rand(rows, generator=generator) < 0.5
        keys = torch.randint(KEYS, (rows,), generator=generator) if self.image else None
        return AugmentParams(top, left, coin & self.flip, keys)

    def __call__(self, images: Tensor, params: AugmentParams) -> Tensor:
        """Crop, change, flip and normalize. [B, C, H, W] -> float32, in channels_last."""
        return self.finish(self._changed(crop(images, params.top, params.left, self.pad), params.keys), params)

    def finish(self, images: Tensor, params: AugmentParams) -> Tensor:
        """Flip, normalize and erase cropped images. [B, C, H, W] -> float32, in channels_last."""
        made = self.plain(horizontal_flip(images, params.flipped))
        if self.image is None or not self.image.erase or params.keys is None:
            return made
        return self.image.erase_(made, params.keys)

    def plain(self, images: Tensor) -> Tensor:
        """Normalize images alone. [B, C, H, W] -> float32, in channels_last."""
        center, scale = _by_row(self.mean, self.std, self.largest, images.shape[3], images.device)
        values = images.contiguous(memory_format=torch.channels_last).to(torch.float32, copy=True)
        return values.sub_(center).div_(scale)  # in place: new memory takes longer than arithmetic

    def _changed(self, images: Tensor, keys: Tensor | None) -> Tensor:
        if self.image is None or keys is None:
            return images
        return torch.stack([self.image(each, key) for each, key in zip(images, keys.tolist(), strict=True)])

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize pixels from 0 to `largest` by mean and standard deviation. -> [B, C, H, W] float32."""
        return normalized(images, self.mean, self.std, self.largest)


def default_augmentation(splits: Splits, recipe: AugmentRecipe | None = None) -> Augmentation:
    """Augmentation that fits a data set: by default pad an eighth of the side, flip unless classes forbid it."""
    recipe = recipe or AugmentRecipe()
    pad = splits.train.size // 8 if recipe.pad else 0
    flip = splits.flip if recipe.flip is None else recipe.flip
    return Augmentation(pad, flip, splits.mean, splits.std, image_augmentation(recipe), splits.largest)


def crop(images: Tensor, top: Tensor, left: Tensor, pad: int) -> Tensor:
    """Crop windows of the zero-padded images, each at its own offset. [B, C, H, W], [B], [B] -> [B, C, H, W]."""
    if pad == 0:
        return images
    height, width = images.shape[2:]
    windows = F.pad(images, (pad,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # [B, C, 2p+1, 2p+1, H, W], a view
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def horizontal_flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Flip the selected images left to right. [B, C, H, W], [B] bool -> [B, C, H, W]."""
    return torch.where(flipped[:, None, None, None], images.flip(3), images)


def normalized(images: Tensor, mean: Channels, std: Channels, largest: int = 255) -> Tensor:
    """Normalize pixels from 0 to `largest` by mean and std of pixels from 0 to 1. [B, C, H, W] -> the same, float32."""
    center, scale = _by_channel(mean, std, largest, images.device)
    return (images.float() - center) / scale


@lru_cache
def _by_row(mean: Channels, std: Channels, largest: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and std of a row of pixels in channels_last, which is six times faster there. -> [C, 1, W] each."""
    center, scale = (
        each.expand(1, -1, 1, width).contiguous(memory_format=torch.channels_last)[0]
        for each in _by_channel(mean, std, largest, device)
    )
    return center, scale


@lru_cache
def _by_channel(mean: Channels, std: Channels, largest: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and std in pixels from 0 to `largest`, cached: a host-to-device copy at each step costs. -> [C, 1, 1]."""
    made = torch.tensor([mean, std], device=device)[..., None, None] * largest
    return made[0], made[1]
