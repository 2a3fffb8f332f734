"""Regularizing Neural Networks by Penalizing Confident Output Distributions (https://arxiv.org/abs/1701.06548)."""

from typing import Literal

import torch.nn.functional as F

from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.terms import LossTerm, StepContext


class Confidence(LossTerm):
    """A prediction of low entropy costs."""

    def __init__(self, weight: float, mean: str):
        super().__init__()
        self.weight, self.mean = weight, mean

    def loss(self, context: StepContext):
        """Sum of p log p: minus the entropy of the student's predictions."""
        log_p = F.log_softmax(context.logits, dim=1)
        each = log_p.exp() * log_p  # [B, C]
        return each.mean() if self.mean == "all" else each.sum(dim=1).mean()


@method_constructor
def max_entropy(weight: NotNegative = 0.1, mean: Literal["rows", "all"] = "rows") -> Method:
    """Predictions of high entropy are favoured; `mean="all"` averages over classes too."""
    return Method({"confidence": Confidence(weight, mean)})
