"""What a stage shows of images: maps [B, D, H, W], or tokens [B, N, D]."""

import torch.nn.functional as F
from torch import Size, Tensor


def channels(shape: Size) -> int:
    """How many channels D lie in [B, D, H, W], [B, N, D] or [B, D]."""
    return shape[2] if len(shape) == 3 else shape[1]


def as_map(features: Tensor) -> Tensor:
    """Features as a map, tokens as a column. [B, D, H, W] as it is; [B, N, D] -> [B, D, N, 1]."""
    return features if features.dim() == 4 else features.transpose(1, 2)[..., None]


def global_average_pool(features: Tensor) -> Tensor:
    """The mean over positions, or over tokens. [B, D, H, W] or [B, N, D] -> [B, D]."""
    return features.mean(dim=(2, 3) if features.dim() == 4 else 1)


def attention(features: Tensor, power: float = 2.0) -> Tensor:
    """Where a feature is strong: the sum over channels of |f|^power.

    Maps [B, D, H, W] -> [B, H·W]; tokens [B, N, D] -> [B, N].
    """
    strength = features.square() if power == 2.0 else features.abs().pow(power)
    return strength.sum(dim=1).flatten(1) if features.dim() == 4 else strength.sum(dim=2)


def as_maps_of_one_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two features as maps [B, D, H, W] of one size: the larger is averaged down, side by side."""
    one, other = as_matching_maps(student, teacher)
    sides = min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3])
    return F.adaptive_avg_pool2d(one, sides), F.adaptive_avg_pool2d(other, sides)


def as_matching_maps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two features as maps; both of one column where one is tokens and the other a map."""
    one, other = as_map(student), as_map(teacher)
    if student.dim() == teacher.dim():
        return one, other
    return one.flatten(2).unsqueeze(3), other.flatten(2).unsqueeze(3)


def resize(maps: Tensor, size: Size) -> Tensor:
    """Bilinearly resized to this size. [B, D, H, W] -> [B, D, *size]."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
