"""Regularizing class-wise predictions via self-knowledge distillation (https://arxiv.org/abs/2003.13964)."""

from selfdistill.data.requirements import Peer
from selfdistill.functional import kl
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, recipe
from selfdistill.terms import Seen, Term, View


class ClassMate(Term):
    """What the student says of another image of the class is the soft target."""

    views = (View("peer", grad=False, source="peer"),)
    mixed = False

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, seen: Seen):
        """T² KL(sg z' || z)."""
        return kl(seen.logits, seen.views["peer"].logits, self.temperature)


@recipe
def cs_kd(weight: NotNegative = 1.0, temperature: Positive = 4.0, itself: bool = True) -> Method:
    """Predictions of two images of one class agree; `itself` lets an image be its own partner, as published."""
    return Method({"classmate": ClassMate(temperature, weight)}, needs={"peer": Peer(itself)})
