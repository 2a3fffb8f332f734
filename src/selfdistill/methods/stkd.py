"""Similarity Transfer for Knowledge Distillation (https://arxiv.org/abs/2103.10047)."""

from typing import Literal

from selfdistill.data.mixing import Mixing, mixed
from selfdistill.functional import kl_divergence, kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import Plural, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class MixedImageTarget(LossTerm):
    """KL to a frozen teacher's prediction for the mixed image."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL(teacher(x~) || z)."""
        return kl_divergence(context.logits, context.views["teacher"].logits, self.temperature)


class MixedPredictionTarget(MixedImageTarget):
    """KL to the teacher's predictions for the clean images, mixed as the images are."""

    views = (ForwardPass("teacher_clean", grad=False, network="teacher", source="clean"),)

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL(sum of shares times teacher(x) || z)."""
        clean = softmax_with_temperature(context.views["teacher_clean"].logits, self.temperature)
        mix = context.batch.mix
        return kl_to_probabilities(context.logits, clean if mix is None else mixed(clean, mix), self.temperature)


@method_constructor
def stkd(
    teacher: str | None = None,
    weight: Share = 0.9,
    temperature: Positive = 4.0,
    alpha: Positive = 1.0,
    per: Literal["batch", "row"] = "batch",
    images: Plural = 2,
    target: Literal["mixed image", "mixed predictions"] = "mixed image",
) -> Method:
    """(1 - weight) · mixup training plus weight · KL to a frozen teacher on mixed images (arXiv:2103.10047).

    >>> from selfdistill.methods import stkd
    >>> print(stkd(target="mixed predictions").mixing.clean)
    True
    """
    clean, networks = target == "mixed predictions", {"teacher": teacher_role(teacher)}
    term = (MixedPredictionTarget if clean else MixedImageTarget)(temperature, weight)
    mixing = Mixing(alpha, per, images, clean)
    return Method({"virtual": term}, task_weight=1.0 - weight, mixing=mixing, networks=networks)
