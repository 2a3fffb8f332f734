"""Similarity Transfer for Knowledge Distillation (https://arxiv.org/abs/2103.10047)."""

from typing import Literal

from selfdistill.data.mixing import Mixing, mixed
from selfdistill.functional import kl_divergence, kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Several, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class VirtualSample(LossTerm):
    """A frozen teacher says what it sees in an image mixed from several."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, context: StepContext):
        """T² KL(teacher(x~) || z)."""
        return kl_divergence(context.logits, context.views["teacher"].logits, self.temperature)


class MixedPrediction(VirtualSample):
    """The teacher's predictions for the clean images, mixed as the images are."""

    views = (ForwardPass("teacher_clean", grad=False, network="teacher", source="clean"),)

    def loss(self, context: StepContext):
        """T² KL(sum of shares times teacher(x) || z)."""
        clean = softmax_with_temperature(context.views["teacher_clean"].logits, self.temperature)
        mix = context.batch.mix
        target = clean if mix is None else mixed(clean, mix)
        return kl_to_probabilities(context.logits, target, self.temperature)


@method_constructor
def stkd(
    teacher: str | None = None,
    weight: Share = 0.9,
    temperature: Positive = 4.0,
    alpha: Positive = 1.0,
    per: Literal["batch", "row"] = "batch",
    images: Several = 2,
    target: Literal["mixed image", "mixed predictions"] = "mixed image",
) -> Method:
    """(1 - weight) of mixup training, weight of the teacher's word on the mixed images."""
    clean = target == "mixed predictions"
    term = (MixedPrediction if clean else VirtualSample)(temperature, weight)
    return Method(
        terms={"virtual": term},
        task_weight=1.0 - weight,
        mixing=Mixing(alpha, per, images, clean),
        networks={"teacher": teacher_role(teacher)},
    )
