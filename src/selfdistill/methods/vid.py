"""Variational Information Distillation (https://arxiv.org/abs/1904.05835)."""

import torch
from torch import Tensor, nn

from selfdistill.heads import GaussianRegressor
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossValue, StepContext
from selfdistill.terms.pairs import StagePairs


class VariationalInformation(StagePairs):
    """Gaussian likelihood of the teacher's features given the student's, with a variance per channel."""

    def __init__(self, variance: float, weight: float):
        super().__init__()
        self.variance, self.weight = variance, weight

    def build(self, context: BuildContext) -> None:
        """Make a regressor for each pair of stages."""
        super().build(context)
        theirs = context.views["teacher"]
        self.guesses = nn.ModuleList(
            GaussianRegressor(context.shapes[own], theirs[deep], self.variance) for own, deep in self.matched
        )

    def loss(self, context: StepContext) -> LossValue:
        """Sum over stages the negative log-likelihood, without its constant."""
        theirs = context.views["teacher"].features
        pairs = zip(self.guesses, self.matched, strict=True)
        each: list[Tensor] = [g(context.features[own], theirs[deep].detach()) for g, (own, deep) in pairs]
        return torch.stack(each).sum()


@method_constructor
def vid(teacher: str | None = None, weight: NonNegative = 1.0, variance: Positive = 5.0) -> Method:
    """Variational information about a frozen teacher's stages (Ahn et al., 2019, arXiv:1904.05835).

    `variance` is the regressors' initial one.

    >>> from selfdistill.methods import vid
    >>> print(vid(variance=1.0).text)
    vid(variance=1.0)
    """
    term = VariationalInformation(variance, weight)
    return Method({"information": term}, networks={"teacher": teacher_role(teacher)})
