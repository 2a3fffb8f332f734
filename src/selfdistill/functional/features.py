"""Shapes and pooling of stage features: maps [B, D, H, W], volumes [B, D, T, H, W], tokens [B, N, D], vectors [B, D].

A signal is a map of one column, [B, D, L, 1]. A token of zeros is absent (see `functional.padding`).
"""

from collections.abc import Sequence

import torch
from torch import Size, Tensor

from selfdistill.functional.normalize import l2_normalize
from selfdistill.functional.padding import keep_absent, present_share
from selfdistill.functional.pooling import adaptive_avg_pool, resize


def channels(shape: Size) -> int:
    """Return D, the number of channels in a shape [B, D, H, W], [B, D, T, H, W], [B, N, D] or [B, D].

    >>> import torch
    >>> from selfdistill.functional import channels
    >>> channels(torch.Size((8, 64, 4, 4))), channels(torch.Size((8, 16, 192)))
    (64, 192)
    """
    return shape[2] if len(shape) == 3 else shape[1]


def has_positions(shape: Size) -> bool:
    """Return True for a map or volume of at least four positions, or at least two tokens; a vector has none.

    >>> import torch
    >>> from selfdistill.functional import has_positions
    >>> [has_positions(torch.Size(shape)) for shape in ((8, 64, 2, 2), (8, 64, 1, 1), (8, 2, 192), (8, 192))]
    [True, False, True, False]
    """
    return shape[1] >= 2 if len(shape) == 3 else shape[2:].numel() >= 4


def as_map(features: Tensor) -> Tensor:
    """View tokens as a map of one column and vectors as one of one position; return maps and volumes unchanged.

    [B, N, D] -> [B, D, N, 1]; [B, D] -> [B, D, 1, 1].

    >>> import torch
    >>> from selfdistill.functional import as_map
    >>> as_map(torch.zeros(8, 16, 192)).shape
    torch.Size([8, 192, 16, 1])
    """
    if features.dim() == 3:
        return features.transpose(1, 2)[..., None]
    return features[..., None, None] if features.dim() == 2 else features


def global_average_pool(features: Tensor, source: Tensor | None = None) -> Tensor:
    """Average over positions, or over the tokens that are present; a vector is its own mean. -> [B, D].

    `source` are the features from which these were made, where those tell which tokens are present.

    >>> import torch
    >>> from selfdistill.functional import global_average_pool
    >>> global_average_pool(torch.arange(4.0).view(1, 1, 2, 2))
    tensor([[1.5000]])
    """
    if features.dim() == 3:
        tokens = features if source is None else keep_absent(features, source)
        return tokens.mean(dim=1) / present_share(features if source is None else source)
    return features if features.dim() == 2 else features.mean(dim=tuple(range(2, features.dim())))


def active_mse(features: Tensor, target: Tensor) -> Tensor:
    """Compute the mean squared error, zero at entries where neither is positive. [B, D], [B, D] -> [].

    Lee and Lee, 2021 (https://arxiv.org/abs/2104.00299).

    >>> import torch
    >>> from selfdistill.functional import active_mse
    >>> active_mse(torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, -5.0]]))
    tensor(2.)
    """
    active = (features > 0) | (target > 0)
    return ((features - target).square() * active).mean()


def attention(features: Tensor, power: float = 2.0) -> Tensor:
    """Compute an attention map: the sum over channels of |f|^power at each position or token. -> [B, P].

    Absent tokens have attention 0. Zagoruyko and Komodakis, 2017 (https://arxiv.org/abs/1612.03928), F_sum^p.

    >>> import torch
    >>> from selfdistill.functional import attention
    >>> attention(torch.tensor([[[[1.0, -2.0]], [[3.0, 0.0]]]]))
    tensor([[10.,  4.]])
    """
    maps = as_map(features)
    strength = maps.square() if power == 2.0 else maps.abs().pow(power)
    return strength.sum(dim=1).flatten(1)


def channel_energy(features: Tensor) -> Tensor:
    """Sum the squares over channels, which stay as one. [B, D, *sides] -> [B, 1, *sides]; [B, N, D] -> [B, N, 1].

    >>> import torch
    >>> from selfdistill.functional import channel_energy
    >>> channel_energy(torch.ones(2, 3, 8, 8)).shape, channel_energy(torch.ones(2, 5, 16)).shape
    (torch.Size([2, 1, 8, 8]), torch.Size([2, 5, 1]))
    """
    return features.square().sum(dim=2 if features.dim() == 3 else 1, keepdim=True)


def attention_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute each row's mean squared difference of attention maps with L2 norm 1, at the teacher's size. -> [B].

    Both are of `channel_energy`; the student's is pooled adaptively. Ji et al., 2021 (https://arxiv.org/abs/2102.02973).

    >>> import torch
    >>> from selfdistill.functional import attention_gap
    >>> attention_gap(torch.ones(1, 1, 4, 4), 2 * torch.ones(1, 1, 2, 2))
    tensor([0.])
    """
    own, target = as_matching_maps(student, teacher)
    pooled = adaptive_avg_pool(own, target.shape[2:])
    gaps = (l2_normalize(pooled.flatten(1)) - l2_normalize(target.flatten(1))).square()
    return gaps.mean(dim=1) / present_share(teacher)[:, 0]


def center_attention(maps: Tensor, features: Tensor) -> Tensor:
    """Subtract each row's mean over positions, or tokens present. [B, P], computed from features -> [B, P].

    >>> import torch
    >>> from selfdistill.functional import center_attention
    >>> center_attention(torch.tensor([[4.0, 2.0, 0.0]]), torch.tensor([[[2.0], [1.0], [0.0]]]))
    tensor([[ 1., -1.,  0.]])
    """
    mean = maps.mean(dim=1, keepdim=True) / present_share(features)
    return keep_absent((maps - mean)[..., None], features)[..., 0]


def as_maps_of_one_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Convert two features to maps of one size; average pooling shrinks the larger. -> [B, D, *sides], [B, E, *sides].

    >>> import torch
    >>> from selfdistill.functional import as_maps_of_one_size
    >>> [each.shape[2:] for each in as_maps_of_one_size(torch.zeros(1, 3, 8, 8), torch.zeros(1, 5, 4, 4))]
    [torch.Size([4, 4]), torch.Size([4, 4])]
    """
    one, other = as_matching_maps(student, teacher)
    size = [min(sides) for sides in zip(one.shape[2:], other.shape[2:], strict=True)]
    return adaptive_avg_pool(one, size), adaptive_avg_pool(other, size)


def as_matching_maps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Convert two features to maps; both have one column where they are of different kinds. -> [B, D, *sides] each.

    >>> import torch
    >>> from selfdistill.functional import as_matching_maps
    >>> [tuple(each.shape) for each in as_matching_maps(torch.zeros(1, 3, 8, 8), torch.zeros(1, 16, 5))]
    [(1, 3, 64, 1), (1, 5, 16, 1)]
    """
    one, other = as_map(student), as_map(teacher)
    if student.dim() == teacher.dim():
        return one, other
    return one.flatten(2).unsqueeze(3), other.flatten(2).unsqueeze(3)


def match_ndim(features: Sequence[Tensor]) -> list[Tensor]:
    """Convert features to maps, or all to volumes where one is: maps get a last side of 1. -> [B, D, *sides] each.

    >>> import torch
    >>> from selfdistill.functional import match_ndim
    >>> [tuple(each.shape) for each in match_ndim([torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 16, 5)])]
    [(1, 3, 2, 8, 8), (1, 5, 16, 1, 1)]
    """
    maps = [as_map(each) for each in features]
    ndim = max(each.dim() for each in maps)
    return [each if each.dim() == ndim else each.unsqueeze(-1) for each in maps]


def resized_attention(maps: Tensor, size: Sequence[int], before: bool = False, padded: bool = False) -> Tensor:
    """Compute the softmax over positions of the resized squared attention. [B, D, *sides] -> [B, P].

    The map is resized after the sum over channels; `before`, as in Self-KD-Lib, before a mean over
    channels. Where the map is `padded`, made from tokens, positions of zeros have attention 0.
    Hou et al., 2019 (https://arxiv.org/abs/1908.00821).

    >>> import torch
    >>> from selfdistill.functional import resized_attention
    >>> resized_attention(torch.ones(1, 3, 4, 4), (1, 2))
    tensor([[0.5000, 0.5000]])
    """
    if before:
        strength = resize(maps, size).square().mean(dim=1, keepdim=True)
    else:
        strength = resize(maps.square().sum(dim=1, keepdim=True), size)
    strength = strength.flatten(1)
    if padded:
        strength = strength.masked_fill(strength == 0, torch.finfo(strength.dtype).min)
    return strength.softmax(dim=1)
