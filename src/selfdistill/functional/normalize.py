"""Rows of numbers: how long they are, where they point, how they correlate."""

import torch
from torch import Tensor

EPS = 1e-8  # below this size a row counts as zeros rather than as a direction


def l2_norm(rows: Tensor) -> Tensor:
    """Length of each row; one of zeros passes no gradient. [B, D] -> [B]."""
    return rows.square().sum(dim=1).clamp_min(EPS**2).sqrt()


def l2_normalize(rows: Tensor) -> Tensor:
    """Rows of length 1 along the last dimension; those below FAINT become zeros and pass no gradient. -> same shape."""
    scaled = scale_by_max(rows)
    return scaled * scaled.square().sum(dim=-1, keepdim=True).clamp_min(1.0).rsqrt()


def scale_by_max(rows: Tensor) -> Tensor:
    """Each row over its largest entry, so that its powers neither overflow nor vanish. -> same shape."""
    largest = rows.detach().abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > EPS, rows / largest.clamp_min(EPS), 0.0)


def l2_normalize_finite(rows: Tensor) -> Tensor:
    """Like `l2_normalize`, for rows whose squares are finite: it scales none of them first. [B, D] -> [B, D]."""
    squares = rows.square().sum(dim=1, keepdim=True)
    return rows * torch.where(squares > EPS**2, squares.clamp_min(EPS**2).rsqrt(), 0.0)


def standardize(rows: Tensor) -> Tensor:
    """Rows of mean 0 and deviation 1; an even row is one of zeros, and passes no gradient. [B, C] -> [B, C]."""
    centered = rows - rows.mean(dim=1, keepdim=True)
    variance = centered.square().sum(dim=1, keepdim=True) / (rows.shape[1] - 1)
    deviation = variance.clamp_min(EPS**2).sqrt()
    return torch.where(variance > EPS**2, centered / (1e-7 + deviation), 0.0)


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's of each pair of rows; an even row has none with any, and no gradient. [B, D], [B, D] -> [B]."""
    one, other = (rows - rows.mean(dim=1, keepdim=True) for rows in (one, other))
    squares = one.square().sum(dim=1), other.square().sum(dim=1)
    lengths = [each.clamp_min(EPS**2).sqrt() for each in squares]
    uneven = (squares[0] > EPS**2) & (squares[1] > EPS**2)
    return torch.where(uneven, (one * other).sum(dim=1) / (lengths[0] * lengths[1] + 1e-8), 0.0)


def drop_label_column(rows: Tensor, labels: Tensor) -> Tensor:
    """Rows without the column of their label. [B, C], [B] -> [B, C - 1]."""
    columns = torch.arange(rows.shape[1] - 1, device=rows.device)
    return rows.gather(1, columns + (columns >= labels[:, None]).long())
