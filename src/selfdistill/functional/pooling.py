"""Pooling and resizing of maps [B, D, H, W] and volumes [B, D, T, H, W]."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def adaptive_avg_pool(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Average-pool maps or volumes to a size, one length a side. [B, D, *sides] -> [B, D, *size].

    >>> import torch
    >>> from selfdistill.functional import adaptive_avg_pool
    >>> adaptive_avg_pool(torch.arange(8.0).view(1, 1, 2, 2, 2), (1, 1, 2)).flatten()
    tensor([3., 4.])
    """
    if maps.dim() == 4:
        return F.adaptive_avg_pool2d(maps, (size[0], size[1]))
    return F.adaptive_avg_pool3d(maps, (size[0], size[1], size[2]))


def adaptive_max_pool(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Max-pool maps or volumes to a size, one length a side. [B, D, *sides] -> [B, D, *size].

    >>> import torch
    >>> from selfdistill.functional import adaptive_max_pool
    >>> adaptive_max_pool(torch.arange(8.0).view(1, 1, 2, 2, 2), (1, 1, 2)).flatten()
    tensor([6., 7.])
    """
    pool = F.adaptive_max_pool2d if maps.dim() == 4 else F.adaptive_max_pool3d
    return pool(maps, list(size))


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps bilinearly, or volumes trilinearly, to a size. [B, D, *sides] -> [B, D, *size].

    >>> import torch
    >>> from selfdistill.functional import resize
    >>> resize(torch.tensor([[[[0.0, 4.0]]]]), (1, 1))
    tensor([[[[2.]]]])
    """
    mode = "bilinear" if maps.dim() == 4 else "trilinear"
    return F.interpolate(maps, size=list(size), mode=mode, align_corners=False)
