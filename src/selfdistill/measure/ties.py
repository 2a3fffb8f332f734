"""Rows that are equally confident have no order."""

from torch import Tensor


def shared(values: Tensor, scores: Tensor) -> Tensor:
    """Each row's value replaced by the mean over the rows of equal score. values, scores: [N] -> [N] float64.

    It is what a random order of ties gives on average, so that no measure depends on the order of the rows.
    """
    _, group = scores.unique(return_inverse=True)
    values = values.double()
    return (group.bincount(values) / group.bincount())[group]
