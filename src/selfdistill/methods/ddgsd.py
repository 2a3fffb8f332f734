"""Data-distortion guided self-distillation (https://doi.org/10.1609/aaai.v33i01.33015565)."""

from typing import Literal

from torch import Tensor

from selfdistill.data.requirements import ExtraAugmentation
from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class TwoAugmentations(LossTerm):
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

    def loss(self, context: StepContext) -> LossValue:
        """Compute the twin's CE; KL both ways plus the discrepancy of the views' mean embeddings."""
        logits, twin = context.logits, context.views["twin"]
        forth = kl_divergence(logits, twin.logits, self.temperature)
        both = forth + kl_divergence(twin.logits, logits, self.temperature)
        apart = self.discrepancy(context.embedding, twin.embedding)
        mimic = self.kl_weight * both + self.mmd_weight * apart
        return {"learn": self.labels * context.cross_entropy(twin.logits), "mimic": mimic}

    def discrepancy(self, one: Tensor, other: Tensor) -> Tensor:
        """Compute the squared distance of two batches' means, by channel or pooled. [B, D], [B, D] -> []."""
        gap = one.mean(dim=0) - other.mean(dim=0)
        return gap.square().sum() if self.mmd == "channels" else gap.mean().square()


@method_constructor
def ddgsd(
    labels: Positive = 1.0,
    kl_weight: NonNegative = 1.0,
    mmd_weight: NonNegative = 5e-4,
    mmd: Literal["channels", "scalar"] = "channels",
    temperature: Positive = 4.0,
) -> Method:
    """Two augmentations per image that teach each other; `labels` weighs each one's CE (Xu and Liu, 2019).

    >>> from selfdistill.methods import ddgsd
    >>> print(ddgsd(mmd="scalar").text)
    ddgsd(mmd='scalar')
    """
    term = TwoAugmentations(labels, kl_weight, mmd_weight, mmd, temperature)
    return Method({"twins": term}, task_weight=labels, needs={"twin": ExtraAugmentation()})
