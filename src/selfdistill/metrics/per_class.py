"""Accuracy, precision and most frequent confusion of each class."""

from collections.abc import Sequence

from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.inputs import checked_pair
from selfdistill.metrics.prediction import predicted_class
from selfdistill.metrics.values import ClassRow


def per_class_metrics(logits: Tensor, labels: Tensor, names: Sequence[str]) -> list[ClassRow]:
    """Compute one row for each class. logits [N, C], labels [N], C names.

    "images": number of images; "top1": recall in percent; "precision" in percent; "taken_for": the most frequent
    wrong prediction. None where a count is 0.

    >>> import torch
    >>> per_class_metrics(torch.eye(2)[[0, 0]], torch.tensor([0, 1]), ["cat", "dog"])[1]
    {'class': 'dog', 'images': 1, 'top1': 0.0, 'precision': None, 'taken_for': 'cat'}
    """
    table = confusion_counts(logits, labels)
    return [_row(table, k, names) for k in range(len(names))]


def confusion_counts(logits: Tensor, labels: Tensor) -> Tensor:
    """Count the images by label and predicted class. logits [N, C], labels [N] -> [C, C].

    >>> import torch
    >>> confusion_counts(torch.eye(2)[[0, 0]], torch.tensor([0, 1])).tolist()
    [[1, 0], [1, 0]]
    """
    logits, labels = checked_pair(logits, labels)
    return multiclass_confusion_matrix(predicted_class(logits), labels, logits.shape[1])


def _row(table: Tensor, k: int, names: Sequence[str]) -> ClassRow:
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


def compute(context: EvaluationContext) -> list[ClassRow]:
    """Metric "classes" on the test images."""
    return per_class_metrics(*context.logits_and_labels, context.splits.classes)
