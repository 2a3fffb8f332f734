"""Selective prediction: area under the risk-coverage curve (AURC)."""

import torch
from torch import Tensor

from selfdistill.metrics.calibration import mean_over_ties
from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.inputs import checked_pair, checked_scores
from selfdistill.metrics.prediction import log_odds, predicted_class


def selective_risk(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute AURC, and its excess over the best order of the same errors, in percent. logits [N, C], labels [N].

    AURC (Geifman and El-Yaniv, 2017) is the error rate among the k images of largest softmax, mean over
    k = 1 … N. The excess compares with all errors ranked last; it is 0 for a perfect order.

    >>> selective_risk(torch.eye(2) * torch.tensor([[9.0], [1.0]]), torch.tensor([0, 0]))
    {'aurc': 25.0, 'aurc_excess': 0.0}
    """
    logits, labels = checked_pair(logits, labels)
    wrong = (predicted_class(logits) != labels).double()
    area = aurc(log_odds(logits), wrong)
    return {"aurc": area, "aurc_excess": area - aurc(-wrong, wrong)}


def aurc(confidence: Tensor, wrong: Tensor) -> float:
    """Area under the risk-coverage curve, in percent. confidence [N], any score of its order; wrong [N] of 0 and 1.

    >>> aurc(torch.tensor([0.9, 0.6]), torch.tensor([0.0, 1.0]))
    25.0
    """
    confidence = checked_scores(confidence)
    errors = mean_over_ties(wrong, confidence)[confidence.argsort(descending=True)].cumsum(0)
    return 100 * (errors / torch.arange(1, len(errors) + 1)).mean().item()


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "selective" on the test images."""
    return selective_risk(*context.logits_and_labels)
