"""FitNets: Hints for Thin Deep Nets (https://arxiv.org/abs/1412.6550)."""

import torch.nn.functional as F

from selfdistill.functional import adaptive_avg_pool, as_matching_maps
from selfdistill.heads import regressor
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, ForwardPass, LossTerm, LossValue, StepContext


class Hint(LossTerm):
    """A convolution on one of the student's stages regresses one of the teacher's."""

    min_batch_size = 2  # for batch statistics

    def __init__(self, tap: str, hint: str, relu: bool, weight: float):
        super().__init__()
        self.taps, self.hint, self.relu, self.weight = (tap,), hint, relu, weight
        self.views = (ForwardPass("teacher", grad=False, network="teacher", taps=(hint,)),)

    def build(self, context: BuildContext) -> None:
        """Make a regressor between the two shapes."""
        self.regress = regressor(context.shapes[self.taps[0]], context.views["teacher"][self.hint], self.relu)

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean squared error over all entries."""
        hint = context.views["teacher"].features[self.hint].detach()
        student, hint = as_matching_maps(context.features[self.taps[0]], hint)
        guess = self.regress(student)
        return F.mse_loss(guess, adaptive_avg_pool(hint, guess.shape[2:]))


@method_constructor
def fitnet(
    teacher: str | None = None,
    weight: NonNegative = 100.0,
    tap: str = "stage2",
    hint: str = "stage2",
    relu: bool = True,
) -> Method:
    """Regression of a frozen teacher's features at one stage (Romero et al., 2015, arXiv:1412.6550).

    Take `relu=False` for hints that can be negative.

    >>> from selfdistill.methods import fitnet
    >>> print(fitnet(hint="stage3").text)
    fitnet(hint='stage3')
    """
    return Method({"hint": Hint(tap, hint, relu, weight)}, networks={"teacher": teacher_role(teacher)})
