"""Universal self-knowledge distillation with customised soft labels (https://arxiv.org/abs/2303.13005)."""

from typing import Literal

import torch.nn.functional as F
from torch import nn

from selfdistill.divergences import without
from selfdistill.method import Method
from selfdistill.recipe import NotNegative, recipe
from selfdistill.terms import Seen, Term

TINY = 1e-6


class Customised(Term):
    """Soft labels without a teacher: the true class by its own confidence, the others by their rank."""

    mixed = False
    learns = True
    over = "batch"

    def __init__(self, alpha: float, beta: float, mu: float, tap: str, rank: str):
        super().__init__()
        self.alpha, self.beta, self.mu, self.taps, self.rank = alpha, beta, mu, (tap,), rank

    def build(self, parts):
        """Put a linear classifier on the tap."""
        shape = parts.shapes[self.taps[0]]
        self.weak = nn.Linear(shape[2] if len(shape) == 3 else shape[1], parts.classes)

    def loss(self, seen: Seen):
        """α L_true + β L_others, and μ CE of the weak head with smoothed labels."""
        weak = self.weak(pooled(seen.features[self.taps[0]]))
        told = ranks(seen.logits.detach(), weak.detach(), seen.batch.labels, self.rank == "code")
        mimic = self.alpha * true_class(seen.logits, seen.batch.labels) + self.beta * among_others(
            seen.logits, told, seen.batch.labels
        )
        return {"learn": self.mu * seen.learn(weak, 0.1), "mimic": mimic}


def true_class(logits, labels):
    """-P log p_y, P = p_y² + 1 - its mean over the batch, without gradient. [B, C], [B] -> []."""
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])
    square = log_p.detach().exp().square()
    return -((square + 1 - square.mean()) * log_p).mean()


def among_others(logits, ranks, labels):
    """Cross-entropy with Zipf's shares of the other classes by their ranks. [B, C], [B, C], [B] -> []."""
    told = without(1.0 / ranks, labels)
    told = told / told.sum(dim=1, keepdim=True)
    return -(told * F.log_softmax(without(logits, labels), dim=1)).sum(dim=1).mean()


def ranks(final, weak, labels, logs):
    """Each class's rank from 1, by what both heads say of it. [B, C], [B, C], [B] -> [B, C]."""
    own = F.log_softmax(final, dim=1) if logs else final.softmax(dim=1)
    score = among_rest(weak.softmax(dim=1), labels) + among_rest(own, labels)
    order = score.argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).to(final.dtype) + 1


def among_rest(scores, labels):
    """Each class's part in what the true one leaves. [B, C], [B] -> [B, C]."""
    return scores / (1 - scores.gather(1, labels[:, None]) + TINY)


def pooled(features):
    """The mean over positions or tokens. [B, D, H, W] or [B, N, D] -> [B, D]."""
    return features.mean(dim=(2, 3)) if features.dim() == 4 else features.mean(dim=1)


@recipe
def uskd(
    alpha: NotNegative = 0.1,
    beta: NotNegative = 0.1,
    mu: NotNegative = 0.1,
    tap: str = "stage-2",
    rank: Literal["paper", "code"] = "paper",
) -> Method:
    """Soft labels of a student's own making, its classes ranked by two of its heads."""
    return Method({"customised": Customised(alpha, beta, mu, tap, rank)})
