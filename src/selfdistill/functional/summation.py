"""Typed sums of tensors."""

from collections.abc import Iterable

from torch import Tensor


def sum_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """Sum tensors of one shape from first to last; there must be one at least. [*] each -> [*].

    >>> import torch
    >>> from selfdistill.functional import sum_tensors
    >>> sum_tensors([torch.tensor(1.0), torch.tensor(2.0)])
    tensor(3.)
    """
    first, *rest = tensors
    return sum(rest, start=first)
