"""Similarity-Preserving Knowledge Distillation (https://arxiv.org/abs/1907.09682)."""

import torch

from selfdistill.functional import gram_loss
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import STAGES, Pairing, stage_names, stage_pairs


class DeeperSimilarity(LossTerm):
    """The Gram matrix of each stage matches that of a deeper stage."""

    taps = ("stages",)
    min_batch_size = 2
    reduction = "batch"

    def __init__(self, pairs: Pairing, weight: float):
        super().__init__()
        self.pairs, self.weight = pairs, weight

    def build(self, context: BuildContext) -> None:
        """Pair the student's stages: each with the next, or each with the last."""
        self.matched = stage_pairs(context.shapes, "sp()", self.pairs, way_out="give it a teacher")

    def loss(self, context: StepContext) -> LossValue:
        """Sum over pairs the mean squared difference of their B x B similarities."""
        pairs = [(context.features[own], context.features[deep]) for own, deep in self.matched]
        return torch.stack([gram_loss(*pair) for pair in pairs]).sum()


class TeacherSimilarity(DeeperSimilarity):
    """The Gram matrix of the student's last stage matches the teacher's."""

    views = (STAGES,)

    def build(self, context: BuildContext) -> None:
        """Take the last stage of each network."""
        self.own, self.theirs = stage_names(context.shapes)[-1], stage_names(context.views["teacher"])[-1]

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean squared difference of the two B x B similarities."""
        return gram_loss(context.features[self.own], context.views["teacher"].features[self.theirs])


@method_constructor
def sp(teacher: str | None = None, weight: NonNegative | None = None, pairs: Pairing = "adjacent") -> Method:
    """Batch similarities of deeper stages, or of a teacher's last stage (Tung and Mori, 2019).

    The weight is 3000 with a teacher and 30 without by default.

    >>> from selfdistill.methods import sp
    >>> print(sp(pairs="last").weights["alike"], sp(teacher="runs/resnet56").weights["alike"])
    30.0 3000.0
    """
    kind, usual = (DeeperSimilarity, 30.0) if teacher is None else (TeacherSimilarity, 3000.0)
    networks = {} if teacher is None else {"teacher": teacher_role(teacher)}
    return Method({"alike": kind(pairs, usual if weight is None else weight)}, networks=networks)
