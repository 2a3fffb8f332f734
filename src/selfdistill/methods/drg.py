"""Distillation with Reverse Guidance (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

from selfdistill.functional import kl_divergence
from selfdistill.heads import make_head
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext


class ReverseGuidance(LossTerm):
    """A shallow head learns the labels and teaches the final classifier."""

    uses_labels = True

    def __init__(self, tap: str, alpha: float, temperature: float, kind: str):
        super().__init__()
        self.taps, self.alpha, self.temperature, self.kind = (tap,), alpha, temperature, kind

    def build(self, context: BuildContext) -> None:
        """Put a head on the tap."""
        self.head = make_head(context.shapes[self.taps[0]], context.classes, self.kind)

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE(a, y) + alpha T² KL(sg a || z), with a the shallow head's logits."""
        shallow = context.rows.logits(self.head(context.features[self.taps[0]], context.rows.pool))
        soft = kl_divergence(context.logits, shallow, self.temperature)
        return {"learn": context.cross_entropy(shallow), "mimic": self.alpha * soft}


@method_constructor
def drg(
    tap: str = "stage2",
    alpha: NonNegative = 0.2,
    temperature: Positive = 4.0,
    head: Literal["light", "gated"] = "light",
) -> Method:
    """Reverse guidance of the final classifier by a head on stage 2 (Wang et al., 2023, arXiv:2305.09183).

    `head="gated"` is the published head; the light one costs less and fits maps of any size.

    >>> from selfdistill.methods import drg
    >>> print(drg(alpha=0.1).text)
    drg(alpha=0.1)
    """
    return Method({"guidance": ReverseGuidance(tap, alpha, temperature, head)})
