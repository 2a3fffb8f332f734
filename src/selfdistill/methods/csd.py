"""Class-center-based self-knowledge distillation (https://www.mdpi.com/2076-3417/14/16/7022)."""

from typing import Literal

from selfdistill.distributed import all_reduce_sum
from selfdistill.functional import class_sums, fuse_predictions, kl_to_probabilities, update_centers
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Share, method_constructor
from selfdistill.terms import LossTerm, LossValue, Memory, StepContext, TrainingInfo


class ClassCenters(LossTerm):
    """KL to the classifier's prediction for the class center, fused with the sample's own prediction."""

    requires = ("embedding", "classifier")
    supports_mixup = False
    memory_scope = "run"  # centers [C, D], and the number of rows averaged into each [C, 1]

    def __init__(self, rate: float, trust: float, fusion: str, detach: bool, temperature: float, warmup: float):
        super().__init__()
        self.rate, self.trust, self.fusion, self.detach = rate, trust, fusion, detach
        self.temperature, self.ramp_epochs, self.uses_progress = temperature, warmup, warmup > 0

    def start(self, info: TrainingInfo) -> Memory:
        """Start with centers of zeros and counts of zero."""
        return info.like.new_zeros(info.classes, info.width or 0), info.like.new_zeros(info.classes, 1)

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Update the centers, then distill from their predictions."""
        labels = context.batch.labels
        sums = all_reduce_sum(class_sums(context.embedding.detach(), labels, context.logits.shape[1]))  # of all ranks
        centers, counts = update_centers(context.memory_pair, sums, self.rate)
        own = context.logits.detach() if self.detach else context.logits
        options = (self.fusion, self.trust, self.temperature)
        target = fuse_predictions(context.classifier(centers)[labels], own, labels, *options)
        value = kl_to_probabilities(context.logits, target, self.temperature)
        return context.progress.linear_ramp(self.ramp_epochs) * value, (centers, counts)


@method_constructor
def csd(
    weight: NonNegative = 1.0,
    trust: Share = 0.5,
    rate: Share = 0.5,
    temperature: Positive = 4.0,
    fusion: Literal["logit", "prob", "confidence"] = "logit",
    detach: bool = True,
    warmup: NonNegative = 0.0,
) -> Method:
    """Soft targets from class centers, fused with each sample's own prediction (Zhong et al., 2024).

    >>> from selfdistill.methods import csd
    >>> print(csd(fusion="confidence").text)
    csd(fusion='confidence')
    """
    term = ClassCenters(rate, trust, fusion, detach, temperature, warmup)
    term.weight = weight
    return Method({"center": term})
