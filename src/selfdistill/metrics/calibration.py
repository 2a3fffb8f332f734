"""Calibration: ECE, adaptive ECE and the Brier score."""

import torch
from torch import Tensor, nn

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.inputs import checked_pair, checked_scores
from selfdistill.metrics.prediction import log_odds, max_probability, predicted_class

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
    logits, labels = checked_pair(logits, labels)
    sure = max_probability(logits)
    gap = sure - (predicted_class(logits) == labels).double()
    return 100 * float(equal_width_bins(sure, BINS).bincount(gap).abs().sum()) / len(labels)


def equal_width_bins(confidence: Tensor, bins: int) -> Tensor:
    """Bin of each confidence from 0 to 1: bin k is [k / bins, (k + 1) / bins), and the last one is closed. [N] -> [N].

    >>> equal_width_bins(torch.tensor([0.0, 0.5, 0.99, 1.0]), 2)
    tensor([0, 1, 1, 1])
    """
    return (confidence.double() * bins + 1e-9).long().clamp(max=bins - 1)  # 1/3 may round to just below an edge


def adaptive_calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Calibration error over 15 bins of equally many rows (Nguyen and O'Connor, 2015), in percent. [N, C], [N].

    >>> adaptive_calibration_error(torch.eye(2) * 100, torch.tensor([0, 0]))
    50.0
    """
    logits, labels = checked_pair(logits, labels)
    order = log_odds(logits)
    gap = max_probability(logits) - mean_over_ties(predicted_class(logits) == labels, order)
    bins = gap[order.argsort()].tensor_split(BINS)
    return 100 * sum(abs(float(each.sum())) for each in bins) / len(labels)


def brier(logits: Tensor, labels: Tensor) -> float:
    """Brier score: squared distance of probabilities to the one-hot label, mean over rows; 0 to 2. [N, C], [N].

    >>> brier(torch.zeros(1, 2), torch.tensor([0]))
    0.5
    """
    logits, labels = checked_pair(logits, labels)
    wanted = nn.functional.one_hot(labels, logits.shape[1])
    return (logits.softmax(dim=1) - wanted).square().sum(dim=1).mean().item()


def mean_over_ties(values: Tensor, scores: Tensor) -> Tensor:
    """Replace each value by the mean over rows of equal score, the average over orders of ties. [N], [N] -> [N].

    >>> mean_over_ties(torch.tensor([1, 0, 1]), torch.tensor([0.5, 0.5, 0.9]))
    tensor([0.5000, 0.5000, 1.0000], dtype=torch.float64)
    """
    _, group = torch.unique(checked_scores(scores), return_inverse=True)
    means: Tensor = group.bincount(values.double()) / group.bincount()
    return means[group]


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "calibration" on the test images."""
    return calibration(*context.logits_and_labels)
