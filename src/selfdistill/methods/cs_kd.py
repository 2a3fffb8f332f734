"""Regularizing class-wise predictions via self-knowledge distillation (https://arxiv.org/abs/2003.13964)."""

from selfdistill.data.requirements import SameClassImage
from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class ClassConsistency(LossTerm):
    """KL to the prediction for another image of the same class."""

    views = (ForwardPass("peer", grad=False, source="peer"),)
    supports_mixup = False

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL(sg z' || z)."""
        return kl_divergence(context.logits, context.views["peer"].logits, self.temperature)


@method_constructor
def cs_kd(weight: NonNegative = 1.0, temperature: Positive = 4.0, itself: bool = True) -> Method:
    """Consistent predictions for two images of one class (Yun et al., 2020, arXiv:2003.13964).

    `itself` lets an image be its own partner, as in the published code.

    >>> from selfdistill.methods import cs_kd
    >>> print(cs_kd(itself=False).needs)
    {'peer': SameClassImage(itself=False)}
    """
    return Method({"classmate": ClassConsistency(temperature, weight)}, needs={"peer": SameClassImage(itself)})
