"""Shapes and pooling of stage features: maps [B, D, H, W], or tokens [B, N, D]."""

import torch.nn.functional as F
from torch import Size, Tensor


def channels(shape: Size) -> int:
    """Return D, the number of channels in a shape [B, D, H, W], [B, N, D] or [B, D].

    >>> import torch
    >>> from selfdistill.functional import channels
    >>> channels(torch.Size((8, 64, 4, 4))), channels(torch.Size((8, 16, 192)))
    (64, 192)
    """
    return shape[2] if len(shape) == 3 else shape[1]


def as_map(features: Tensor) -> Tensor:
    """View tokens as a map of one column; return maps unchanged. [B, D, H, W] or [B, N, D] -> [B, D, N, 1].

    >>> import torch
    >>> from selfdistill.functional import as_map
    >>> as_map(torch.zeros(8, 16, 192)).shape
    torch.Size([8, 192, 16, 1])
    """
    return features if features.dim() == 4 else features.transpose(1, 2)[..., None]


def global_average_pool(features: Tensor) -> Tensor:
    """Average over positions, or over tokens. [B, D, H, W] or [B, N, D] -> [B, D].

    >>> import torch
    >>> from selfdistill.functional import global_average_pool
    >>> global_average_pool(torch.arange(4.0).view(1, 1, 2, 2))
    tensor([[1.5000]])
    """
    return features.mean(dim=(2, 3) if features.dim() == 4 else 1)


def attention(features: Tensor, power: float = 2.0) -> Tensor:
    """Compute an attention map: the sum over channels of |f|^power. [B, D, H, W] -> [B, H·W]; [B, N, D] -> [B, N].

    Zagoruyko and Komodakis, 2017 (https://arxiv.org/abs/1612.03928), F_sum^p.

    >>> import torch
    >>> from selfdistill.functional import attention
    >>> attention(torch.tensor([[[[1.0, -2.0]], [[3.0, 0.0]]]]))
    tensor([[10.,  4.]])
    """
    strength = features.square() if power == 2.0 else features.abs().pow(power)
    return strength.sum(dim=1).flatten(1) if features.dim() == 4 else strength.sum(dim=2)


def as_maps_of_one_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Convert two features to maps of one size; average pooling shrinks the larger. -> [B, D, h, w], [B, E, h, w].

    >>> import torch
    >>> from selfdistill.functional import as_maps_of_one_size
    >>> [each.shape[2:] for each in as_maps_of_one_size(torch.zeros(1, 3, 8, 8), torch.zeros(1, 5, 4, 4))]
    [torch.Size([4, 4]), torch.Size([4, 4])]
    """
    one, other = as_matching_maps(student, teacher)
    sides = min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3])
    return F.adaptive_avg_pool2d(one, sides), F.adaptive_avg_pool2d(other, sides)


def as_matching_maps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Convert two features to maps; both have one column where one is tokens and the other a map.

    [B, D, H, W] or [B, N, D] each -> [B, D, H, W], or [B, D, N, 1].

    >>> import torch
    >>> from selfdistill.functional import as_matching_maps
    >>> [tuple(each.shape) for each in as_matching_maps(torch.zeros(1, 3, 8, 8), torch.zeros(1, 16, 5))]
    [(1, 3, 64, 1), (1, 5, 16, 1)]
    """
    one, other = as_map(student), as_map(teacher)
    if student.dim() == teacher.dim():
        return one, other
    return one.flatten(2).unsqueeze(3), other.flatten(2).unsqueeze(3)


def resize(maps: Tensor, size: Size) -> Tensor:
    """Resize maps bilinearly to a size (height, width). [B, D, H, W] -> [B, D, *size].

    >>> import torch
    >>> from selfdistill.functional import resize
    >>> resize(torch.tensor([[[[0.0, 4.0]]]]), torch.Size((1, 1)))
    tensor([[[[2.]]]])
    """
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def resized_attention(maps: Tensor, size: Size, before: bool = False) -> Tensor:
    """Compute the softmax over positions of the resized squared attention. [B, D, H, W] -> [B, h·w].

    The map is resized after the sum over channels; `before`, as in Self-KD-Lib, before a mean over
    channels. Hou et al., 2019 (https://arxiv.org/abs/1908.00821).

    >>> import torch
    >>> from selfdistill.functional import resized_attention
    >>> resized_attention(torch.ones(1, 3, 4, 4), torch.Size((1, 2)))
    tensor([[0.5000, 0.5000]])
    """
    if before:
        strength = resize(maps, size).square().mean(dim=1, keepdim=True)
    else:
        strength = resize(maps.square().sum(dim=1, keepdim=True), size)
    return strength.flatten(1).softmax(dim=1)
