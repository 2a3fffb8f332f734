"""Information flow between layers, as distances of neighbor probabilities (https://arxiv.org/abs/2005.00727)."""

from torch import Tensor

from selfdistill.functional.normalize import l2_norm

EPS = 1e-6  # as published
LEAST = 1e-12  # of a probability: rows of opposite directions have none


def information_flow(student: Tensor, teacher: Tensor) -> Tensor:
    """Sum the Jeffreys divergences of two kernels, cosine and Student's t, over all pairs. [B, D], [B, E] -> [].

    No gradient reaches the teacher. Passalis et al., 2020 (https://arxiv.org/abs/2005.00727).

    >>> import torch
    >>> from selfdistill.functional import information_flow
    >>> information_flow(torch.eye(3), torch.eye(3))
    tensor(0.)
    """
    cosine = jeffreys(cosine_neighbors(student), cosine_neighbors(teacher.detach()))
    return cosine + jeffreys(near_neighbors(student), near_neighbors(teacher.detach()))


def jeffreys(one: Tensor, other: Tensor) -> Tensor:
    """Compute the mean over entries of (p - q) (log p - log q), symmetric in both. [B, B], [B, B] -> [].

    >>> import torch
    >>> from selfdistill.functional import jeffreys
    >>> jeffreys(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]]))
    tensor(0.1373)
    """
    return ((one - other) * (one.clamp_min(LEAST).log() - other.clamp_min(LEAST).log())).mean()


def cosine_neighbors(rows: Tensor) -> Tensor:
    """Compute each row's distribution over all rows, itself included, by (1 + cosine) / 2. [B, D] -> [B, B]."""
    directions = rows / (l2_norm(rows) + EPS)[:, None]
    return _shares((directions @ directions.T + 1) / 2)


def near_neighbors(rows: Tensor) -> Tensor:
    """Compute each row's distribution over all rows, itself included, by 1 / (1 + distance). [B, D] -> [B, B]."""
    rows = rows - rows.detach().mean(dim=0)  # it cancels, and products of small numbers lose fewer digits
    squares = rows.square().sum(dim=1)
    distances = (squares[:, None] + squares - 2 * rows @ rows.T).clamp_min(0)
    return _shares(1 / (1 + (distances + EPS).sqrt()))


def _shares(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=1, keepdim=True)
