"""Rows of a loss: an example, a pixel or a tag each, and the conversion of a head's tensors to them."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from selfdistill.functional import global_average_pool


class Pool(Protocol):
    """A function from features to those of each row."""

    def __call__(self, features: Tensor, source: Tensor | None = None) -> Tensor:
        """Convert features of any kind to rows [R, D]; `source` tells which tokens are present."""
        ...


class Rows(NamedTuple):
    """Conversions of a head's tensors to the rows that its loss compares.

    >>> from selfdistill.terms import EXAMPLES
    >>> EXAMPLES.pool(torch.zeros(4, 16, 8, 8)).shape
    torch.Size([4, 16])
    """

    pool: Pool  # a stage's features -> [R, D]: their mean, or their value at a row's pixel
    logits: Callable[[Tensor], Tensor]  # logits that were computed from pooled features -> [R, C]


def _unchanged(logits: Tensor) -> Tensor:
    return logits


EXAMPLES = Rows(global_average_pool, _unchanged)  # a row is an example
