"""R-Drop: Regularized Dropout for Neural Networks (https://arxiv.org/abs/2106.14448)."""

from typing import Literal

from torch import Tensor

from selfdistill.functional import dropout_logits, kl_through_teacher, uniform
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Part, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, LossValue, ModelOutputs, StepContext


class TwoPasses(LossTerm):
    """Two passes of each batch under dropout learn the labels, and each other's predictions."""

    views = (ForwardPass("again", grad=True, joint=True),)
    uses_labels = True

    def __init__(self, alpha: float, dropout: float, mean: str):
        super().__init__()
        self.alpha, self.dropout, self.mean, self.uses_random = alpha, dropout, mean, dropout > 0
        self.requires, self.needs_dropout = (("embedding", "classifier_weight") if dropout else ()), dropout == 0

    def loss(self, context: StepContext) -> LossValue:
        """Compute both CE, and α (KL(p2 || p1) + KL(p1 || p2))."""
        one, other = self.predictions(context, [context.anchor, context.views["again"]])
        both = kl_through_teacher(one, other) + kl_through_teacher(other, one)
        rows = len(one) if self.mean == "sum" else 1
        learn = context.cross_entropy(one) + context.cross_entropy(other)
        return {"learn": learn, "mimic": self.alpha * rows * both}

    def predictions(self, context: StepContext, passes: list[ModelOutputs]) -> list[Tensor]:
        """Return the logits of both passes, after dropout of their embeddings unless the rate is 0. -> 2 of [B, C]."""
        if not self.dropout:
            return [each.logits for each in passes]
        kept = (uniform(context.progress.key, (2, *context.embedding.shape)) >= self.dropout).to(context.logits.dtype)
        options = context.classifier_weight, self.dropout
        return [
            dropout_logits(each.logits, each.embedding, options[0], keep, options[1])
            for each, keep in zip(passes, kept, strict=True)
        ]


@method_constructor
def r_drop(alpha: NonNegative = 0.3, dropout: Part = 0.1, mean: Literal["rows", "sum"] = "rows") -> Method:
    """Two passes under dropout with consistent predictions (Liang et al., 2021, arXiv:2106.14448).

    `dropout` is the rate in front of the classifier, besides the model's own; 0 leaves that to the model.

    >>> from selfdistill.methods import r_drop
    >>> print(r_drop(alpha=1.0).text)
    r_drop(alpha=1.0)
    """
    return Method(task=TwoPasses(alpha, dropout, mean))
