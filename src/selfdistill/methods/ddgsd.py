"""Data-distortion guided self-distillation (https://doi.org/10.1609/aaai.v33i01.33015565)."""

from typing import Literal

from selfdistill.data.requirements import ExtraAugmentation
from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class TwinViews(LossTerm):
    """Two augmentations of each image learn the labels together and teach each other."""

    views = (ForwardPass("twin", grad=True, source="twin", joint=True),)
    requires = ("embedding",)
    supports_mixup = False
    uses_labels = True
    reduction = "batch"  # the distance of means

    def __init__(self, labels: float, kl_weight: float, mmd_weight: float, mmd: str, temperature: float):
        super().__init__()
        self.labels, self.kl_weight, self.mmd_weight = labels, kl_weight, mmd_weight
        self.mmd, self.temperature = mmd, temperature

    def loss(self, context: StepContext):
        """CE of the twin; KL both ways, and the distance of the views' mean embeddings."""
        twin = context.views["twin"]
        both = kl_divergence(context.logits, twin.logits, self.temperature) + kl_divergence(
            twin.logits, context.logits, self.temperature
        )
        apart = self.discrepancy(context.embedding, twin.embedding)
        mimic = self.kl_weight * both + self.mmd_weight * apart
        return {"learn": self.labels * context.learn(twin.logits), "mimic": mimic}

    def discrepancy(self, one, other):
        """Squared distance of two batches' means, by channel or of all channels as one. [B, D], [B, D] -> []."""
        gap = one.mean(dim=0) - other.mean(dim=0)
        return gap.square().sum() if self.mmd == "channels" else gap.mean().square()


@method_constructor
def ddgsd(
    labels: Positive = 1.0,
    kl_weight: NotNegative = 1.0,
    mmd_weight: NotNegative = 5e-4,
    mmd: Literal["channels", "scalar"] = "channels",
    temperature: Positive = 4.0,
) -> Method:
    """Two augmentations of each image in one batch; `labels` is the weight of each one's cross-entropy."""
    term = TwinViews(labels, kl_weight, mmd_weight, mmd, temperature)
    return Method({"twins": term}, task_weight=labels, needs={"twin": ExtraAugmentation()})
