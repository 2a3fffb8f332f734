"""Universal self-knowledge distillation with customised soft labels (https://arxiv.org/abs/2303.13005)."""

from typing import Literal

import torch.nn.functional as F
from torch import nn

from selfdistill.functional import agreed_ranks, channels, drop_label_column, global_average_pool, zipf
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.terms import LossTerm, StepContext


class Customised(LossTerm):
    """Soft labels without a teacher: the true class by its own confidence, the others by their rank."""

    supports_mixup = False
    uses_labels = True
    reduction = "batch"

    def __init__(self, alpha: float, beta: float, mu: float, tap: str, rank: str):
        super().__init__()
        self.alpha, self.beta, self.mu, self.taps, self.rank = alpha, beta, mu, (tap,), rank

    def build(self, context):
        """Put a linear classifier on the tap."""
        self.weak = nn.Linear(channels(context.shapes[self.taps[0]]), context.classes)

    def loss(self, context: StepContext):
        """α L_true + β L_others, and μ CE of the weak head with smoothed labels."""
        logits, labels = context.logits, context.batch.labels
        weak = self.weak(global_average_pool(context.features[self.taps[0]]))
        ranks = agreed_ranks(logits.detach(), weak.detach(), labels, logs=self.rank == "code")
        mimic = self.alpha * true_class(logits, labels) + self.beta * among_others(logits, ranks, labels)
        return {"learn": self.mu * context.learn(weak, 0.1), "mimic": mimic}


def true_class(logits, labels):
    """-P log p_y, P = p_y² + 1 - its mean over the batch, without gradient. [B, C], [B] -> []."""
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])
    square = log_p.detach().exp().square()
    return -((square + 1 - square.mean()) * log_p).mean()


def among_others(logits, ranks, labels):
    """Cross-entropy with Zipf's shares of the other classes by their ranks. [B, C], [B, C], [B] -> []."""
    return -(zipf(ranks, labels) * F.log_softmax(drop_label_column(logits, labels), dim=1)).sum(dim=1).mean()


@method_constructor
def uskd(
    alpha: NotNegative = 0.1,
    beta: NotNegative = 0.1,
    mu: NotNegative = 0.1,
    tap: str = "stage-2",
    rank: Literal["paper", "code"] = "paper",
) -> Method:
    """Soft labels of a student's own making, its classes ranked by two of its heads."""
    return Method({"customised": Customised(alpha, beta, mu, tap, rank)})
