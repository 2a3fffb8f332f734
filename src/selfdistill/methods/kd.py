"""Distilling the Knowledge in a Neural Network (https://arxiv.org/abs/1503.02531)."""

from selfdistill.maths import kl
from selfdistill.method import Method, Paper
from selfdistill.recipe import Positive, Share, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term, View

PAPER = Paper(
    "Distilling the Knowledge in a Neural Network",
    "Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff",
    2015,
    "NIPS Deep Learning Workshop",
    "https://arxiv.org/abs/1503.02531",
)


class Teacher(Term):
    """A frozen network trained before, shown the same images, is the teacher."""

    views = (View("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, seen: Seen):
        """T² KL(teacher || student)."""
        return kl(seen.logits, seen.views["teacher"].logits, self.temperature)


@recipe(PAPER)
def kd(teacher: str | None = None, alpha: Share = 0.9, temperature: Positive = 4.0) -> Method:
    """(1 - alpha) of cross-entropy, alpha of a frozen teacher's predictions."""
    return Method(
        terms={"teacher": Teacher(temperature, weight=alpha)},
        task_weight=1.0 - alpha,
        networks={"teacher": teaching(teacher)},
    )
