"""Relations between the rows of a batch: matrices over pairs and triples of rows."""

import math

import torch
from torch import Tensor

from selfdistill.functional.normalize import EPS, l2_normalize
from selfdistill.functional.summation import sum_tensors

NEAR = 1e-10  # squared distance, in units of the largest entry, below which two rows have no direction
FLOOR = 1e-12  # the least squared distance, as published


def cosine_similarity(rows: Tensor) -> Tensor:
    """Compute the cosine of every pair of rows. [B, D] -> [B, B].

    A row of zeros has cosine 0 with all others and passes a bounded gradient: norms are bounded
    below by `EPS` times the root of D at most.

    >>> from selfdistill.functional import cosine_similarity
    >>> cosine_similarity(torch.tensor([[1.0, 0.0], [3.0, 4.0]]))[0, 1]
    tensor(0.6000)
    """
    scale = rows.detach().abs().amax(dim=1, keepdim=True).clamp_min(EPS)
    scaled = rows / scale  # so that the squares of huge rows stay finite in float32
    directions = scaled * scaled.square().sum(dim=1, keepdim=True).clamp_min(1.0).rsqrt()
    return directions @ directions.T


def gram(features: Tensor) -> Tensor:
    """Compute the Gram matrix of a batch with rows of L2 norm 1. [B, …] -> [B, B].

    The row of an all-zero example stays zeros. Tung and Mori, 2019 (https://arxiv.org/abs/1907.09682).

    >>> from selfdistill.functional import gram
    >>> gram(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    tensor([[1., 0.],
            [0., 1.]])
    """
    rows = features.flatten(1)
    rows = rows / rows.detach().abs().max().clamp_min(EPS)  # it cancels; no square overflows
    return l2_normalize(rows @ rows.T)


def gram_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the mean squared difference of two `gram` matrices, without gradient to the teacher. [B, …] twice -> [].

    Tung and Mori, 2019 (https://arxiv.org/abs/1907.09682).

    >>> from selfdistill.functional import gram_loss
    >>> gram_loss(torch.eye(2), torch.ones(2, 3))
    tensor(0.2929)
    """
    return (gram(student) - gram(teacher.detach())).square().mean()


def gaussian_kernel(rows: Tensor, gamma: float, order: int = 2) -> Tensor:
    """Compute exp(-γ ‖x - y‖²) of L2-normalized rows, as a Taylor series in <x, y>. [B, D] -> [B, B].

    Peng et al., 2019 (https://arxiv.org/abs/1904.01802), with their order of 2 by default.

    >>> from selfdistill.functional import gaussian_kernel
    >>> gaussian_kernel(torch.eye(2), gamma=0.5)[0]
    tensor([0.9197, 0.3679])
    """
    directions = l2_normalize(rows)
    alike = directions @ directions.T
    series = [(2 * gamma) ** p / math.factorial(p) * alike**p for p in range(order + 1)]
    return math.exp(-2 * gamma) * sum_tensors(series)


def neighbor_probabilities(rows: Tensor) -> Tensor:
    """Compute each row's distribution over all rows (itself included) from cosines. [B, D] -> [B, B].

    Passalis and Tefas, 2018 (https://arxiv.org/abs/1803.10837). Rows sum to 1.

    >>> from selfdistill.functional import neighbor_probabilities
    >>> neighbor_probabilities(torch.eye(2))[0]
    tensor([0.6667, 0.3333])
    """
    directions = l2_normalize(rows)
    close = (directions @ directions.T + 1) / 2
    return close / close.sum(dim=1, keepdim=True)


def offsets(rows: Tensor) -> Tensor:
    """Compute the vector from each row to each other one, in units of the largest entry. [B, D] -> [B, B, D].

    >>> from selfdistill.functional import offsets
    >>> offsets(torch.tensor([[0.0], [2.0]])).squeeze()
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    rows = rows / rows.detach().abs().max().clamp_min(EPS)
    return rows[None] - rows[:, None]


def distances(offsets: Tensor) -> Tensor:
    """Compute Euclidean distances divided by the mean distance of two rows. [B, B, D] -> [B, B].

    `offsets` come from the function of this name. Park et al., 2019 (https://arxiv.org/abs/1904.05068).

    >>> from selfdistill.functional import distances, offsets
    >>> distances(offsets(torch.tensor([[0.0], [1.0], [3.0]])))[0]
    tensor([0.0000, 0.5000, 1.5000])
    """
    apart = 1 - torch.eye(len(offsets), dtype=offsets.dtype, device=offsets.device)
    lengths = offsets.square().sum(dim=2).clamp_min(FLOOR).sqrt() * apart
    return lengths / (lengths.sum() / apart.sum())


def angles(offsets: Tensor) -> Tensor:
    """Compute the cosine of the angle at each row between any two others. [B, B, D] -> [B, B, B].

    `offsets` come from the function of this name. Park et al., 2019 (https://arxiv.org/abs/1904.05068).

    >>> from selfdistill.functional import angles, offsets
    >>> angles(offsets(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])))[1, 0, 2]
    tensor(0.7071)
    """
    squared = offsets.square().sum(dim=2, keepdim=True)
    directions = torch.where(squared > NEAR, offsets, 0.0) * squared.clamp_min(NEAR).rsqrt()
    return directions @ directions.transpose(1, 2)


def adjacent_congruence(one: Tensor, other: Tensor) -> Tensor:
    """Compute the mean over adjacent rows of <|e_i|, |e_i+1|>, e = one - other. [B, D], [B, D] -> [].

    The published code of Peng et al., 2019 (https://arxiv.org/abs/1904.01802).

    >>> from selfdistill.functional import adjacent_congruence
    >>> adjacent_congruence(torch.tensor([[1.0], [2.0], [3.0]]), torch.zeros(3, 1))
    tensor(4.)
    """
    apart = (one - other).abs()
    return (apart[:-1] * apart[1:]).sum(dim=1).mean()
