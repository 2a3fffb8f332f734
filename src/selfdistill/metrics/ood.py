"""Out-of-distribution detection metrics (AUROC, FPR@95)."""

from math import ceil

import torch
from torch import Tensor

from selfdistill.functional import sort_logits
from selfdistill.metrics.context import EvaluationContext, whole_images
from selfdistill.metrics.inputs import checked_logits, checked_scores
from selfdistill.metrics.prediction import log_odds
from selfdistill.metrics.values import MetricValue

ACCEPTED = 95  # percent of in-distribution images, at the threshold of FPR@95


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
    """Order of the largest softmax, as its log-odds: probabilities of sure networks round to 1. [N, C] -> [N] float64.

    >>> max_softmax(torch.tensor([[100.0, 0.0], [200.0, 0.0]]))
    tensor([100., 200.], dtype=torch.float64)
    """
    return log_odds(logits)


def negative_energy(logits: Tensor) -> Tensor:
    """Negative energy at temperature 1: log-sum-exp of the logits. [N, C] -> [N] float64.

    >>> negative_energy(torch.zeros(1, 2)).exp()
    tensor([2.], dtype=torch.float64)
    """
    return sort_logits(checked_logits(logits)).logsumexp(dim=1)  # sorted, so that the order of classes has no effect


def auroc_and_fpr95(known: Tensor, ood: Tensor) -> dict[str, float]:
    """AUROC, and the share of OOD images accepted where 95 % of the known ones are, in percent. Scores [N], [M].

    >>> auroc_and_fpr95(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 4.0]))
    {'auroc': 50.0, 'fpr95': 50.0}
    """
    known, ood = checked_scores(known).sort().values, checked_scores(ood).sort().values
    below, up_to = (torch.searchsorted(ood, known, right=right).double().mean() for right in (False, True))
    threshold = known[len(known) - ceil(ACCEPTED * len(known) / 100)]
    return {
        "auroc": 100 * float(below + up_to) / (2 * len(ood)),  # ties count as half
        "fpr95": 100 * float((ood >= threshold).double().mean()),
    }


def compute(context: EvaluationContext) -> dict[str, MetricValue]:
    """Metric "outside" of the test images against the test images of the OOD data set."""
    assert context.ood is not None  # checked by `EvaluationContext.missing`
    logits = context.model.predictions(whole_images(context.ood.test)).logits
    return {"data": context.ood.name, "images": len(logits), **ood_detection(context.test.logits, logits)}
