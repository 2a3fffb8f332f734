"""Weights of an affine map that can only be applied."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Affine(NamedTuple):
    """An affine map.

    >>> from selfdistill.functional import Affine
    >>> Affine(weight=torch.eye(2), bias=torch.zeros(2)).weight.shape
    torch.Size([2, 2])
    """

    weight: Tensor  # [C, D]
    bias: Tensor  # [C]


def affine_parts(apply: Callable[[Tensor], Tensor], like: Tensor) -> Affine:
    """Return weight and bias of a map, read at the unit vectors and at zero; `like` is [*, D].

    >>> from selfdistill.functional import affine_parts
    >>> affine_parts(lambda rows: 3 * rows + 1, torch.zeros(1))
    Affine(weight=tensor([[3.]]), bias=tensor([1.]))
    """
    units = torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
    bias = apply(torch.zeros_like(units[:1]))[0]
    return Affine((apply(units) - bias).T, bias)


def affine_of_outputs(weight: Tensor, rows: Tensor, outputs: Tensor) -> Affine:
    """Return a map with the bias that some outputs have, with its gradient. [C, D], [B, D], [B, C].

    >>> from selfdistill.functional import affine_of_outputs
    >>> affine_of_outputs(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(1, 1)).bias
    tensor([1.])
    """
    return Affine(weight, (outputs - rows @ weight.T).mean(dim=0))


def affine_gap(own: Affine, known: Affine) -> Tensor:
    """Compute the mean squared difference of weights [C, D] and biases [C]; 0 for weights of two shapes. -> [].

    >>> from selfdistill.functional import Affine, affine_gap
    >>> affine_gap(Affine(torch.ones(2, 1), torch.ones(2)), Affine(torch.zeros(2, 1), torch.ones(2)))
    tensor(0.5000)
    """
    if own.weight.shape != known.weight.shape:
        return own.weight.new_zeros(())
    one, other = (torch.cat([weight, bias[:, None]], dim=1) for weight, bias in (own, known))
    return F.mse_loss(one, other)
