"""Whether images of no known class can be told from known ones."""

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_roc

FOUND = 0.95  # share of the known images that the threshold lets pass


def outside(known: Tensor, strange: Tensor) -> dict[str, dict[str, float]]:
    """AUROC and FPR95 in percent, by largest softmax and by energy. Logits [N, C] and [M, C].

    Known images should have the larger score: the largest softmax (Hendrycks and Gimpel, 2017), or the
    logarithm of the summed exponentials of the logits, the negative energy (Liu et al., 2020).
    """
    scores = {"max_softmax": max_softmax, "energy": negative_energy}
    return {name: separation(score(known), score(strange)) for name, score in scores.items()}


def max_softmax(logits: Tensor) -> Tensor:
    """Log of the largest probability: the same order, and no two round to 1. [N, C] -> [N] float64."""
    return logits.double().log_softmax(dim=1).amax(dim=1)


def negative_energy(logits: Tensor) -> Tensor:
    """Negative energy at temperature 1. [N, C] -> [N] float64."""
    return logits.double().logsumexp(dim=1)


def separation(known: Tensor, strange: Tensor) -> dict[str, float]:
    """AUROC, and the share of strange images passed where 95 % of the known ones are, in percent. [N], [M]."""
    _, place = torch.cat([known, strange]).unique(return_inverse=True)
    ranked = place.double() / place.max().clamp(min=1)  # torchmetrics would squash scores beyond 0 to 1
    truth = torch.cat([torch.ones_like(known), torch.zeros_like(strange)]).long()
    passed, found, _ = binary_roc(ranked, truth)
    return {
        "auroc": 100 * binary_auroc(ranked, truth).item(),
        "fpr95": 100 * passed[found >= FOUND].min().item(),
    }
