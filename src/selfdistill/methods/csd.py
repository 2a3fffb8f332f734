"""Class-center-based self-knowledge distillation (https://www.mdpi.com/2076-3417/14/16/7022)."""

from typing import Literal

from selfdistill.distributed import summed
from selfdistill.functional import class_sums, kl_to_probabilities, softmax_with_temperature, update_centers
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, method_constructor
from selfdistill.terms import LossTerm, StepContext, TrainingInfo


class ClassCenter(LossTerm):
    """What the classifier says of a class's center, fused with the sample's own prediction, is its target."""

    requires = ("embedding", "classifier")
    supports_mixup = False
    memory_scope = "run"  # centers [C, D], and how many rows each has met [C, 1]

    def __init__(self, rate: float, trust: float, fusion: str, detach: bool, temperature: float, warmup: float):
        super().__init__()
        self.rate, self.trust, self.fusion, self.detach = rate, trust, fusion, detach
        self.temperature, self.warmup, self.uses_progress = temperature, warmup, warmup > 0

    def start(self, info: TrainingInfo):
        """Centers of zeros that have met nothing."""
        return info.like.new_zeros(info.classes, info.width or 0), info.like.new_zeros(info.classes, 1)

    def forward(self, context: StepContext):
        """Update the centers, then predict with them."""
        sums = summed(
            class_sums(context.embedding.detach(), context.batch.labels, context.logits.shape[1])
        )  # of all ranks
        centers, met = update_centers(context.memory, sums, self.rate)
        target = self.target(context.classifier(centers)[context.batch.labels], context.logits, context.batch.labels)
        value = kl_to_probabilities(context.logits, target, self.temperature)
        return context.progress.ramp(self.warmup) * value, (centers, met)

    def target(self, center, own, labels):
        """Fuse a center's logits with a sample's own. [B, C], [B, C], [B] -> [B, C] probabilities."""
        own = own.detach() if self.detach else own
        if self.fusion == "logit":
            return softmax_with_temperature(self.trust * center + (1 - self.trust) * own, self.temperature)
        trust = self.trust
        if self.fusion == "confidence":
            trust = 1 - own.softmax(dim=1).gather(1, labels[:, None])  # [B, 1]
        return trust * softmax_with_temperature(center, self.temperature) + (1 - trust) * softmax_with_temperature(
            own, self.temperature
        )


@method_constructor
def csd(
    weight: NotNegative = 1.0,
    trust: Share = 0.5,
    rate: Share = 0.5,
    temperature: Positive = 4.0,
    fusion: Literal["logit", "prob", "confidence"] = "logit",
    detach: bool = True,
    warmup: NotNegative = 0.0,
) -> Method:
    """Each sample's soft target is its class center's prediction, fused with its own."""
    term = ClassCenter(rate, trust, fusion, detach, temperature, warmup)
    term.weight = weight
    return Method({"center": term})
