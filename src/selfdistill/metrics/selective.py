"""Whether the network knows when it is wrong: errors among what it is surest of."""

import torch
from torch import Tensor

from selfdistill.metrics.calibration import shared


def selective_risk(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """AURC, and what of it exceeds the best order of these errors, in percent. logits [N, C], labels [N].

    AURC (Geifman and El-Yaniv, 2017) is the error rate among the k images of largest softmax, mean over
    k = 1 … N. The excess compares with all errors ranked last; it is 0 for a perfect order.
    """
    confidence, guess = logits.double().softmax(dim=1).max(dim=1)
    wrong = (guess != labels).double()
    area = aurc(confidence, wrong)
    return {"aurc": area, "aurc_excess": area - aurc(-wrong, wrong)}


def aurc(confidence: Tensor, wrong: Tensor) -> float:
    """Area under the curve of risk over coverage, in percent. [N], [N] of 0 and 1."""
    errors = shared(wrong, confidence)[confidence.argsort(descending=True)].cumsum(0)
    return 100 * (errors / torch.arange(1, len(errors) + 1)).mean().item()
