"""Regularizing Neural Networks by Penalizing Confident Output Distributions (https://arxiv.org/abs/1701.06548)."""

from typing import Literal

import torch.nn.functional as F

from selfdistill.functional import weighted_log
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext


class ConfidencePenalty(LossTerm):
    """The negative entropy of the predictions."""

    def __init__(self, weight: float, mean: str):
        super().__init__()
        self.weight, self.mean = weight, mean

    def loss(self, context: StepContext) -> LossValue:
        """Compute the sum of p log p over classes, averaged over rows."""
        log_p = F.log_softmax(context.logits, dim=1)
        each = weighted_log(log_p.exp(), log_p)  # [B, C]
        return each.mean() if self.mean == "all" else each.sum(dim=1).mean()


@method_constructor
def max_entropy(weight: NonNegative = 0.1, mean: Literal["rows", "all"] = "rows") -> Method:
    """A penalty on predictions of low entropy (Pereyra et al., 2017, arXiv:1701.06548).

    `mean="all"` averages over classes too.

    >>> from selfdistill.methods import max_entropy
    >>> print(max_entropy(weight=0.5).text)
    max_entropy(weight=0.5)
    """
    return Method({"confidence": ConfidencePenalty(weight, mean)})
