"""Row normalization: lengths, directions, standardization, correlation."""

import torch
from torch import Tensor

EPS = 1e-8  # a row shorter than this counts as zeros


def l2_norm(rows: Tensor) -> Tensor:
    """Compute the L2 norm of each row, with a zero gradient at rows of zeros. [B, D] -> [B].

    >>> from selfdistill.functional import l2_norm
    >>> l2_norm(torch.tensor([[3.0, 4.0]]))
    tensor([5.])
    """
    return rows.square().sum(dim=1).clamp_min(EPS**2).sqrt()


def l2_normalize(rows: Tensor) -> Tensor:
    """Scale rows to L2 norm 1 along the last dimension, without overflow. [*, D] -> [*, D].

    Rows whose largest entry is below `EPS` become zeros and pass no gradient.

    >>> from selfdistill.functional import l2_normalize
    >>> l2_normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    scaled = scale_by_max(rows)
    return scaled * scaled.square().sum(dim=-1, keepdim=True).clamp_min(1.0).rsqrt()


def scale_by_max(rows: Tensor) -> Tensor:
    """Divide each row by its largest absolute entry, so that powers neither overflow nor vanish. [*, D] -> [*, D].

    The divisor has no gradient; rows of zeros stay zeros.

    >>> from selfdistill.functional import scale_by_max
    >>> scale_by_max(torch.tensor([[1.0, -4.0]]))
    tensor([[ 0.2500, -1.0000]])
    """
    largest = rows.detach().abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > EPS, rows / largest.clamp_min(EPS), 0.0)


def l2_normalize_finite(rows: Tensor) -> Tensor:
    """Scale rows to L2 norm 1 directly; their squares must be finite (see `l2_normalize`). [B, D] -> [B, D].

    >>> from selfdistill.functional import l2_normalize_finite
    >>> l2_normalize_finite(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    squares = rows.square().sum(dim=1, keepdim=True)
    return rows * torch.where(squares > EPS**2, squares.clamp_min(EPS**2).rsqrt(), 0.0)


def cosine_logits(embedding: Tensor, weight: Tensor) -> Tensor:
    """Compute the cosine of each embedding with each class weight. [B, D], [C, D] -> [B, C].

    >>> from selfdistill.functional import cosine_logits
    >>> cosine_logits(torch.tensor([[3.0, 4.0]]), torch.eye(2))
    tensor([[0.6000, 0.8000]])
    """
    return l2_normalize_finite(embedding) @ l2_normalize_finite(weight).T


def standardize(rows: Tensor) -> Tensor:
    """Shift and scale rows to mean 0 and standard deviation 1. [B, C] -> [B, C].

    A constant row becomes zeros and passes no gradient.

    >>> from selfdistill.functional import standardize
    >>> print(standardize(torch.tensor([[1.0, 2.0, 3.0]])).round(decimals=3).tolist())
    [[-1.0, 0.0, 1.0]]
    """
    centered = rows - rows.mean(dim=1, keepdim=True)
    variance = centered.square().sum(dim=1, keepdim=True) / (rows.shape[1] - 1)
    deviation = variance.clamp_min(EPS**2).sqrt()
    return torch.where(variance > EPS**2, centered / (1e-7 + deviation), 0.0)


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Compute Pearson's correlation of each pair of rows. [B, D], [B, D] -> [B].

    A constant row has correlation 0 with any other, and no gradient.

    >>> from selfdistill.functional import correlation
    >>> print(correlation(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[6.0, 4.0, 2.0]])).round(decimals=3).tolist())
    [-1.0]
    """
    one, other = (rows - rows.mean(dim=1, keepdim=True) for rows in (one, other))
    squares = one.square().sum(dim=1), other.square().sum(dim=1)
    lengths = [each.clamp_min(EPS**2).sqrt() for each in squares]
    uneven = (squares[0] > EPS**2) & (squares[1] > EPS**2)
    return torch.where(uneven, (one * other).sum(dim=1) / (lengths[0] * lengths[1] + 1e-8), 0.0)


def drop_label_column(rows: Tensor, labels: Tensor) -> Tensor:
    """Remove each row's label column. [B, C], [B] -> [B, C - 1].

    >>> from selfdistill.functional import drop_label_column
    >>> drop_label_column(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1]))
    tensor([[1., 3.]])
    """
    columns = torch.arange(rows.shape[1] - 1, device=rows.device)
    return rows.gather(1, columns + (columns >= labels[:, None]).long())
