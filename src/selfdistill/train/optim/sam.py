"""Sharpness-aware minimization: the weights at which the second gradient is taken."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

EPSILON = 1e-12  # for a gradient of zero


@contextmanager
def ascended(parameters: list[Tensor], gradients: list[Tensor], norm: Tensor, rho: float) -> Iterator[None]:
    """Context in which the parameters lie `rho` up the slope: along their gradients, of this norm [] over all.

    Afterwards they are bitwise what they were. Foret et al., "Sharpness-Aware Minimization for Efficiently Improving
    Generalization", 2021 (https://arxiv.org/abs/2010.01412).
    """
    kept = [each.detach().clone() for each in parameters]
    with torch.no_grad():
        torch._foreach_add_(parameters, torch._foreach_mul(gradients, rho / (norm + EPSILON)))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(parameters, kept)
