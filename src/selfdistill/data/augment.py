"""Augmentation as batched tensor operations, with a draw for each image."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selfdistill.data.images import Splits


class Draw(NamedTuple):
    """What was drawn for each image of a batch."""

    top: Tensor  # [B] first row of the crop in the padded image
    left: Tensor  # [B] first column
    mirrored: Tensor  # [B] whether it is flipped

    def rows(self, rows: slice) -> "Draw":
        """The draws of some of the images."""
        return Draw(*(each[rows] for each in self))

    def to(self, device: torch.device | str) -> "Draw":
        """The draws on a device."""
        return Draw(*(each.to(device) for each in self))


@dataclass(frozen=True)
class Augmentation:
    """Pad and crop, mirror, and normalise: the recipe of the CIFAR literature.

    `pad` is in pixels (4 for 32); `mean` and `std` by channel, of pixels from 0 to 1.
    """

    pad: int
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def draw(self, rows: int, generator: Generator) -> Draw:
        """Draw for so many images."""
        top, left = torch.randint(0, 2 * self.pad + 1, (2, rows), generator=generator)
        coin = torch.rand(rows, generator=generator) < 0.5
        return Draw(top, left, coin & self.flip)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        """Crop and mirror as drawn, then normalise. [B, 3, H, W] uint8 -> float32."""
        return self.normalise(mirror(crop(images, draw.top, draw.left, self.pad), draw.mirrored))

    def normalise(self, images: Tensor) -> Tensor:
        """Pixels from 0 to 255 into units of the training images' deviation. -> [B, 3, H, W] float32."""
        mean, std = torch.tensor([self.mean, self.std], device=images.device)[..., None, None] * 255
        return (images.float() - mean) / std


def usual(splits: Splits) -> Augmentation:
    """The augmentation that fits a data set: pads an eighth of the side, mirrors where that is sound."""
    return Augmentation(splits.train.size // 8, splits.flip, splits.mean, splits.std)


def crop(images: Tensor, top: Tensor, left: Tensor, pad: int) -> Tensor:
    """Windows of the zero-padded images, each at its own offset. [B, 3, H, W], [B], [B] -> [B, 3, H, W]."""
    if pad == 0:
        return images
    rows, _, height, width = images.shape
    padded = F.pad(images, (pad,) * 4).permute(0, 2, 3, 1)
    b = torch.arange(rows, device=images.device)[:, None, None]
    y = (top[:, None] + torch.arange(height, device=images.device))[:, :, None]
    x = (left[:, None] + torch.arange(width, device=images.device))[:, None, :]
    return padded[b, y, x].permute(0, 3, 1, 2)


def mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Those images flipped left to right. [B, 3, H, W], [B] -> [B, 3, H, W]."""
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
