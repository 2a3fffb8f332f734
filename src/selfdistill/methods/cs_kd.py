"""Regularizing class-wise predictions via self-knowledge distillation (https://arxiv.org/abs/2003.13964)."""

from selfdistill.data.requirements import SameClassImage
from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class ClassMate(LossTerm):
    """What the student says of another image of the class is the soft target."""

    views = (ForwardPass("peer", grad=False, source="peer"),)
    supports_mixup = False

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, context: StepContext):
        """T² KL(sg z' || z)."""
        return kl_divergence(context.logits, context.views["peer"].logits, self.temperature)


@method_constructor
def cs_kd(weight: NotNegative = 1.0, temperature: Positive = 4.0, itself: bool = True) -> Method:
    """Predictions of two images of one class agree; `itself` lets an image be its own partner, as published."""
    return Method({"classmate": ClassMate(temperature, weight)}, needs={"peer": SameClassImage(itself)})
