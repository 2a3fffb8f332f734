"""Calibration: ECE, adaptive ECE and the Brier score."""

import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_calibration_error

from selfdistill.metrics.context import EvaluationContext

BINS = 15  # of the calibration errors


def calibration(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute ECE and adaptive ECE in percent, and the Brier score. logits [N, C], labels [N].

    >>> calibration(torch.eye(3) * 1000, torch.arange(3))
    {'ece': 0.0, 'adaptive_ece': 0.0, 'brier': 0.0}
    """
    return {
        "ece": calibration_error(logits, labels),
        "adaptive_ece": adaptive_calibration_error(logits, labels),
        "brier": brier(logits, labels),
    }


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error over 15 bins of equal width, in percent. logits [N, C], labels [N].

    >>> calibration_error(torch.eye(2) * 100, torch.tensor([0, 0]))  # confidence 100 %, accuracy 50 %
    50.0
    """
    error = multiclass_calibration_error(logits.softmax(dim=1), labels, logits.shape[1], n_bins=BINS)
    return 100 * float(error)


def adaptive_calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Calibration error over 15 bins of equally many rows (Nguyen and O'Connor, 2015), in percent. [N, C], [N].

    >>> adaptive_calibration_error(torch.eye(2) * 100, torch.tensor([0, 0]))
    50.0
    """
    confidence, guess = logits.double().softmax(dim=1).max(dim=1)
    gap = confidence - mean_over_ties(guess == labels, confidence)
    bins = gap[confidence.argsort()].tensor_split(BINS)
    return 100 * sum(abs(float(each.sum())) for each in bins) / len(labels)


def brier(logits: Tensor, labels: Tensor) -> float:
    """Brier score: squared distance of probabilities to the one-hot label, mean over rows; 0 to 2. [N, C], [N].

    >>> brier(torch.zeros(1, 2), torch.tensor([0]))
    0.5
    """
    wanted = nn.functional.one_hot(labels, logits.shape[1])
    return (logits.double().softmax(dim=1) - wanted).square().sum(dim=1).mean().item()


def mean_over_ties(values: Tensor, scores: Tensor) -> Tensor:
    """Replace each value by the mean over rows of equal score, the average over orders of ties. [N], [N] -> [N].

    >>> mean_over_ties(torch.tensor([1, 0, 1]), torch.tensor([0.5, 0.5, 0.9]))
    tensor([0.5000, 0.5000, 1.0000], dtype=torch.float64)
    """
    _, group = torch.unique(scores, return_inverse=True)
    means: Tensor = group.bincount(values.double()) / group.bincount()
    return means[group]


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "calibration" on the test images."""
    return calibration(*context.logits_and_labels)
