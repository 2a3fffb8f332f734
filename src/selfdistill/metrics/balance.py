"""Accuracy and F1 with every class at equal weight, for classes of unequal size."""

from torch import Tensor

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.per_class import confusion_counts


def balance_metrics(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute balanced accuracy and macro F1, in percent. logits [N, C], labels [N].

    Balanced accuracy is the mean recall of the classes that have images; macro F1 the mean F1 of the classes that have
    images or predictions, as scikit-learn defines both.

    >>> import torch
    >>> balance_metrics(torch.eye(2)[[0, 0, 0, 0]], torch.tensor([0, 0, 0, 1]))
    {'balanced_accuracy': 50.0, 'macro_f1': 42.857142857142854}
    """
    table = confusion_counts(logits, labels).double()
    right, images, guesses = table.diagonal(), table.sum(dim=1), table.sum(dim=0)
    recall = (right / images)[images > 0]
    f1 = (2 * right / (images + guesses))[images + guesses > 0]
    return {"balanced_accuracy": 100 * recall.mean().item(), "macro_f1": 100 * f1.mean().item()}


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "balance" on the test images."""
    return balance_metrics(*context.logits_and_labels)
