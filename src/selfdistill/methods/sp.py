"""Similarity-Preserving Knowledge Distillation (https://arxiv.org/abs/1907.09682)."""

import torch

from selfdistill.functional import gram
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import LossTerm, StepContext
from selfdistill.terms.pairs import STAGES, Pairing, stages, within


class AlikeImages(LossTerm):
    """Images that a deeper stage finds alike, a shallower one should."""

    taps = ("stages",)
    min_batch_size = 2
    reduction = "batch"

    def __init__(self, pairs: Pairing, weight: float):
        super().__init__()
        self.pairs, self.weight = pairs, weight

    def build(self, context):
        """Pair the student's stages: each with the next, or each with the last."""
        self.matched = within(context.shapes, "sp()", self.pairs, way_out="give it a teacher")

    def loss(self, context: StepContext):
        """Sum over pairs of the mean squared difference of their B x B similarities."""
        return torch.stack([gap(context.features[own], context.features[deep]) for own, deep in self.matched]).sum()


class AlikeToTeacher(AlikeImages):
    """Images that a teacher's last stage finds alike, the student's should."""

    views = (STAGES,)

    def build(self, context):
        """Take the last stage of each."""
        self.own, self.theirs = stages(context.shapes)[-1], stages(context.views["teacher"])[-1]

    def loss(self, context: StepContext):
        """Mean squared difference of the two B x B similarities."""
        return gap(context.features[self.own], context.views["teacher"].features[self.theirs])


def gap(student, teacher):
    """1/B² ||G_s - sg G_t||². [B, …], [B, …] -> []."""
    return (gram(student) - gram(teacher.detach())).square().mean()


@method_constructor
def sp(teacher: str | None = None, weight: NotNegative | None = None, pairs: Pairing = "adjacent") -> Method:
    """Shallow stages, or with a teacher the last one, find alike what deeper stages or the teacher do."""
    if teacher is None:
        return Method({"alike": AlikeImages(pairs, 30.0 if weight is None else weight)})
    return Method(
        {"alike": AlikeToTeacher(pairs, 3000.0 if weight is None else weight)},
        networks={"teacher": teacher_role(teacher)},
    )
