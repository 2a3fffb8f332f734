"""Distillation with Reverse Guidance (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

from selfdistill.functional import kl_divergence
from selfdistill.heads import head
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import LossTerm, StepContext


class ReverseGuidance(LossTerm):
    """A shallow head learns the labels, and teaches the final one."""

    uses_labels = True

    def __init__(self, tap: str, alpha: float, temperature: float, kind: str):
        super().__init__()
        self.taps, self.alpha, self.temperature, self.kind = (tap,), alpha, temperature, kind

    def build(self, context):
        """Put a head on the tap."""
        self.head = head(context.shapes[self.taps[0]], context.classes, self.kind)

    def loss(self, context: StepContext):
        """CE(a, y) + alpha T² KL(sg a || z), with a the shallow head's logits."""
        shallow = self.head(context.features[self.taps[0]])
        return {
            "learn": context.learn(shallow),
            "mimic": self.alpha * kl_divergence(context.logits, shallow, self.temperature),
        }


@method_constructor
def drg(
    tap: str = "stage2",
    alpha: NotNegative = 0.2,
    temperature: Positive = 4.0,
    head: Literal["light", "gated"] = "light",
) -> Method:
    """A head on stage 2 guides the final prediction; `head="gated"` is the published one."""
    return Method({"guidance": ReverseGuidance(tap, alpha, temperature, head)})
