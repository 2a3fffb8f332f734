"""Variational Information Distillation (https://arxiv.org/abs/1904.05835)."""

import torch
from torch import nn

from selfdistill.heads import GaussianRegressor
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import StepContext
from selfdistill.terms.pairs import StagePairs


class Information(StagePairs):
    """A guess of the teacher's features from the student's, and how sure it is of each channel."""

    def __init__(self, variance: float, weight: float):
        super().__init__()
        self.variance, self.weight = variance, weight

    def build(self, context):
        """Make a guess for each pair of stages."""
        super().build(context)
        theirs = context.views["teacher"]
        self.guesses = nn.ModuleList(
            GaussianRegressor(context.shapes[own], theirs[deep], self.variance) for own, deep in self.matched
        )

    def loss(self, context: StepContext):
        """Sum over stages of the negative log-likelihood, without its constant."""
        theirs = context.views["teacher"].features
        pairs = zip(self.guesses, self.matched, strict=True)
        return torch.stack([g(context.features[own], theirs[deep].detach()) for g, (own, deep) in pairs]).sum()


@method_constructor
def vid(teacher: str | None = None, weight: NotNegative = 1.0, variance: Positive = 5.0) -> Method:
    """The labels, and as much information about a frozen teacher's features as the student can hold."""
    return Method({"information": Information(variance, weight)}, networks={"teacher": teacher_role(teacher)})
