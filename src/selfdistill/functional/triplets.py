"""Triplets of a row, one of its class and one of another: drawn rows and classes, and losses on their relations."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.divergence import softmax_with_temperature, weighted_log
from selfdistill.functional.summation import sum_tensors


def other_class_rows(numbers: Tensor, labels: Tensor) -> Tensor:
    """Choose a row of another class for each row, that of the largest number. [B, B], [B] -> [B].

    In a batch of one class the row is the first.

    >>> from selfdistill.functional import other_class_rows
    >>> other_class_rows(torch.rand(3, 3), torch.tensor([0, 0, 1]))[:2]
    tensor([2, 2])
    """
    return torch.where(labels[:, None] != labels, numbers, -1.0).argmax(dim=1)


def other_classes(numbers: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Turn numbers from 0 to under 1 into another class than the label. [R], [R] -> [R].

    >>> from selfdistill.functional import other_classes
    >>> other_classes(torch.tensor([0.0, 0.9]), torch.tensor([2, 2]), classes=3)
    tensor([0, 1])
    """
    return (labels + 1 + (numbers * (classes - 1)).long()) % classes


def two_class_ce(logits: Tensor, one: Tensor, other: Tensor, temperature: float, target: str = "tempered") -> Tensor:
    """Compute cross-entropy at temperature T with halves of two classes. [B, C], [B], [B] -> [].

    "tempered" targets are softmax(halves / T), as published, which is nearly uniform; "shares" are the halves.

    >>> from selfdistill.functional import two_class_ce
    >>> two_class_ce(torch.zeros(1, 4), torch.tensor([0]), torch.tensor([1]), temperature=3.0)
    tensor(1.3863)
    """
    halves = sum_tensors(F.one_hot(each, logits.shape[1]).to(logits.dtype) / 2 for each in (one, other))
    shares = softmax_with_temperature(halves, temperature) if target == "tempered" else halves
    return -weighted_log(shares, F.log_softmax(logits / temperature, dim=1)).sum(dim=1).mean()


def margin_losses(low: Sequence[Tensor], high: Sequence[Tensor], margin: float) -> Tensor:
    """Sum over several pairs the mean of max(0, low - high + margin). -> [].

    >>> from selfdistill.functional import margin_losses
    >>> margin_losses([torch.tensor([0.5])], [torch.tensor([1.0])], margin=1.0)
    tensor(0.5000)
    """
    return sum_tensors(F.relu(one - other + margin).mean() for one, other in zip(low, high, strict=True))


def gaps_to_last(values: Sequence[Tensor]) -> Tensor:
    """Sum the mean squared differences to the last value, with a gradient of both; there are two or more. -> [].

    >>> from selfdistill.functional import gaps_to_last
    >>> gaps_to_last([torch.zeros(2), torch.ones(2), torch.ones(2)])
    tensor(1.)
    """
    *earlier, last = values
    return sum_tensors((each - last).square().mean() for each in earlier)


def running_class_sums(known: Tensor, rows: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    """Read sums by class as they are after each row of a batch. [C, D], [R, D], [R], [R] -> [R, D].

    `labels` say to which class a row is added, `classes` which one it reads.

    >>> from selfdistill.functional import running_class_sums
    >>> zeros = torch.zeros(2, dtype=torch.long)
    >>> running_class_sums(torch.zeros(1, 1), torch.ones(2, 1), zeros, zeros)
    tensor([[1.],
            [2.]])
    """
    added = (classes[:, None] == labels).to(rows.dtype).tril()
    return known[classes] + added @ rows
