"""Each class by itself."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix


def by_class(logits: Tensor, labels: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each class. logits [N, C], labels [N], C names.

    "images": how many there are; "top1": percent of them that are recognised; "precision": percent of what is
    given this name that rightly has it; "taken_for": the class they are most often mistaken for. None where
    there is nothing to count.
    """
    table = multiclass_confusion_matrix(logits.argmax(dim=1), labels, logits.shape[1])  # [label, guess]
    return [_row(table, k, names) for k in range(len(names))]


def _row(table: Tensor, k: int, names: Sequence[str]) -> dict[str, Any]:
    right, images, guesses = int(table[k, k]), int(table[k].sum()), int(table[:, k].sum())
    mistaken = table[k].clone()
    mistaken[k] = 0
    return {
        "class": names[k],
        "images": images,
        "top1": 100 * right / images if images else None,
        "precision": 100 * right / guesses if guesses else None,
        "taken_for": names[int(mistaken.argmax())] if mistaken.any() else None,
    }
