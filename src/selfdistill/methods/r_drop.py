"""R-Drop: Regularized Dropout for Neural Networks (https://arxiv.org/abs/2106.14448)."""

from typing import Literal

from selfdistill.functional import kl_through_teacher
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Part, method_constructor
from selfdistill.terms import LossValue, StepContext
from selfdistill.terms.two_passes import TwoPasses


class ConsistentPasses(TwoPasses):
    """Both predictions learn the labels and each other."""

    def __init__(self, alpha: float, dropout: float, mean: str):
        super().__init__(dropout)
        self.alpha, self.mean = alpha, mean

    def loss(self, context: StepContext) -> LossValue:
        """Compute both CE, and α (KL(p2 || p1) + KL(p1 || p2))."""
        one, other = self.predictions(context)
        both = kl_through_teacher(one, other) + kl_through_teacher(other, one)
        rows = len(one) if self.mean == "sum" else 1
        learn = context.cross_entropy(one) + context.cross_entropy(other)
        return {"learn": learn, "mimic": self.alpha * rows * both}


@method_constructor
def r_drop(alpha: NonNegative = 0.3, dropout: Part = 0.1, mean: Literal["rows", "sum"] = "rows") -> Method:
    """Two passes under dropout with consistent predictions (Liang et al., 2021, arXiv:2106.14448).

    `dropout` is the rate in front of the classifier, besides the model's own; 0 leaves that to the model.

    >>> from selfdistill.methods import r_drop
    >>> print(r_drop(alpha=1.0).text)
    r_drop(alpha=1.0)
    """
    return Method(task=ConsistentPasses(alpha, dropout, mean))
