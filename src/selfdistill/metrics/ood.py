"""Out-of-distribution detection metrics (AUROC, FPR@95)."""

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_roc

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.values import MetricValue

TRUE_POSITIVE_RATE = 0.95  # of the threshold: share of in-distribution images accepted


def ood_detection(known: Tensor, ood: Tensor) -> dict[str, dict[str, float]]:
    """Compute AUROC and FPR@95 in percent for two scores. Logits [N, C] of known, [M, C] of OOD images.

    The scores are the largest softmax (Hendrycks and Gimpel, 2017) and the negative energy, the log-sum-exp of
    the logits (Liu et al., 2020); both should be larger for known images.

    >>> ood_detection(torch.eye(3) * 9, torch.zeros(2, 3))["energy"]
    {'auroc': 100.0, 'fpr95': 0.0}
    """
    scores = {"max_softmax": max_softmax, "energy": negative_energy}
    return {name: auroc_and_fpr95(score(known), score(ood)) for name, score in scores.items()}


def max_softmax(logits: Tensor) -> Tensor:
    """Log of the largest probability: its order, without rounding to 1. [N, C] -> [N] float64.

    >>> max_softmax(torch.zeros(1, 2)).exp()
    tensor([0.5000], dtype=torch.float64)
    """
    return logits.double().log_softmax(dim=1).amax(dim=1)


def negative_energy(logits: Tensor) -> Tensor:
    """Negative energy at temperature 1: log-sum-exp of the logits. [N, C] -> [N] float64.

    >>> negative_energy(torch.zeros(1, 2)).exp()
    tensor([2.], dtype=torch.float64)
    """
    return logits.double().logsumexp(dim=1)


def auroc_and_fpr95(known: Tensor, ood: Tensor) -> dict[str, float]:
    """AUROC, and the share of OOD images accepted where 95 % of the known ones are, in percent. Scores [N], [M].

    >>> auroc_and_fpr95(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 4.0]))
    {'auroc': 50.0, 'fpr95': 50.0}
    """
    _, place = torch.unique(torch.cat([known, ood]), return_inverse=True)
    ranked = place.double() / place.max().clamp(min=1)  # torchmetrics passes scores beyond 0 to 1 through a sigmoid
    truth = torch.cat([torch.ones_like(known), torch.zeros_like(ood)]).long()
    false_rate, true_rate, _ = binary_roc(ranked, truth)
    return {
        "auroc": 100 * float(binary_auroc(ranked, truth)),
        "fpr95": 100 * float(false_rate[true_rate >= TRUE_POSITIVE_RATE].min()),
    }


def compute(context: EvaluationContext) -> dict[str, MetricValue]:
    """Metric "outside" of the test images against the test images of the OOD data set."""
    assert context.ood is not None  # checked by `EvaluationContext.missing`
    logits = context.model.predictions(context.ood.test).logits
    return {"data": context.ood.name, "images": len(logits), **ood_detection(context.test.logits, logits)}
