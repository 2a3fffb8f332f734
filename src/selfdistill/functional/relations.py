"""How the rows of a batch lie to one another: matrices over pairs of them."""

import math

import torch
from torch import Tensor

from selfdistill.functional.normalize import EPS, l2_normalize

NEAR = 1e-10  # squared distance, in units of the largest entry, below which two rows point nowhere
FLOOR = 1e-12  # the least squared distance, as published


def similarity(rows: Tensor) -> Tensor:
    """Cosine of every pair of rows. [B, D] -> [B, B].

    A row of zeros is like no other and passes a bounded gradient: lengths are bounded below, by
    FAINT times the root of D at most, before they divide.
    """
    scale = rows.detach().abs().amax(dim=1, keepdim=True).clamp_min(EPS)
    scaled = rows / scale  # so that the squares of huge rows stay finite in float32
    directions = scaled * scaled.square().sum(dim=1, keepdim=True).clamp_min(1.0).rsqrt()
    return directions @ directions.T


def gram(features: Tensor) -> Tensor:
    """The Gram matrix of a batch, each row of length 1; that of an all-zero image stays zeros. [B, …] -> [B, B]."""
    rows = features.flatten(1)
    rows = rows / rows.detach().abs().max().clamp_min(EPS)  # it cancels; no square overflows
    return l2_normalize(rows @ rows.T)


def gaussian(rows: Tensor, gamma: float, order: int = 2) -> Tensor:
    """exp(-γ ‖x - y‖²) of rows of length 1, its Taylor series in <x, y> to this order. [B, D] -> [B, B]."""
    directions = l2_normalize(rows)
    alike = directions @ directions.T
    series = [(2 * gamma) ** p / math.factorial(p) * alike**p for p in range(order + 1)]
    return math.exp(-2 * gamma) * sum(series[1:], start=series[0])


def neighbour_shares(rows: Tensor) -> Tensor:
    """The share of each row's similarity that goes to each row, itself included. [B, D] -> [B, B]."""
    directions = l2_normalize(rows)
    close = (directions @ directions.T + 1) / 2
    return close / close.sum(dim=1, keepdim=True)


def offsets(rows: Tensor) -> Tensor:
    """What leads from each row to each other one, in units of the largest entry. [B, D] -> [B, B, D]."""
    rows = rows / rows.detach().abs().max().clamp_min(EPS)
    return rows[None] - rows[:, None]


def distances(offsets: Tensor) -> Tensor:
    """Euclidean distances over the mean one between two rows. [B, B, D] -> [B, B]."""
    apart = 1 - torch.eye(len(offsets), dtype=offsets.dtype, device=offsets.device)
    lengths = offsets.square().sum(dim=2).clamp_min(FLOOR).sqrt() * apart
    return lengths / (lengths.sum() / apart.sum())


def angles(offsets: Tensor) -> Tensor:
    """Cosine of the angle at each row between any two others. [B, B, D] -> [B, B, B]."""
    squared = offsets.square().sum(dim=2, keepdim=True)
    directions = torch.where(squared > NEAR, offsets, 0.0) * squared.clamp_min(NEAR).rsqrt()
    return directions @ directions.transpose(1, 2)
