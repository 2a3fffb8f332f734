"""Distillation with Reverse Guidance (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

from selfdistill.functional import kl
from selfdistill.heads import head
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, recipe
from selfdistill.terms import Seen, Term


class ReverseGuidance(Term):
    """A shallow head learns the labels, and teaches the final one."""

    learns = True

    def __init__(self, tap: str, alpha: float, temperature: float, kind: str):
        super().__init__()
        self.taps, self.alpha, self.temperature, self.kind = (tap,), alpha, temperature, kind

    def build(self, parts):
        """Put a head on the tap."""
        self.head = head(parts.shapes[self.taps[0]], parts.classes, self.kind)

    def loss(self, seen: Seen):
        """CE(a, y) + alpha T² KL(sg a || z), with a the shallow head's logits."""
        shallow = self.head(seen.features[self.taps[0]])
        return {"learn": seen.learn(shallow), "mimic": self.alpha * kl(seen.logits, shallow, self.temperature)}


@recipe
def drg(
    tap: str = "stage2",
    alpha: NotNegative = 0.2,
    temperature: Positive = 4.0,
    head: Literal["light", "gated"] = "light",
) -> Method:
    """A head on stage 2 guides the final prediction; `head="gated"` is the published one."""
    return Method({"guidance": ReverseGuidance(tap, alpha, temperature, head)})
