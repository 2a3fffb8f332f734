"""FitNets: Hints for Thin Deep Nets (https://arxiv.org/abs/1412.6550)."""

import torch.nn.functional as F

from selfdistill.functional import as_matching_maps
from selfdistill.heads import regressor
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class Hint(LossTerm):
    """A convolution on one of the student's stages regresses one of the teacher's."""

    min_batch_size = 2  # for batch statistics

    def __init__(self, tap: str, hint: str, relu: bool, weight: float):
        super().__init__()
        self.taps, self.hint, self.relu, self.weight = (tap,), hint, relu, weight
        self.views = (ForwardPass("teacher", grad=False, network="teacher", taps=(hint,)),)

    def build(self, context):
        """Fit a regressor between the two shapes."""
        self.regress = regressor(context.shapes[self.taps[0]], context.views["teacher"][self.hint], self.relu)

    def loss(self, context: StepContext):
        """Mean squared difference over all entries."""
        hint = context.views["teacher"].features[self.hint].detach()
        student, hint = as_matching_maps(context.features[self.taps[0]], hint)
        guess = self.regress(student)
        return F.mse_loss(guess, F.adaptive_avg_pool2d(hint, guess.shape[2:]))


@method_constructor
def fitnet(
    teacher: str | None = None,
    weight: NotNegative = 100.0,
    tap: str = "stage2",
    hint: str = "stage2",
    relu: bool = True,
) -> Method:
    """The labels, and a frozen teacher's features at one stage; `relu=False` for hints that can be negative."""
    return Method({"hint": Hint(tap, hint, relu, weight)}, networks={"teacher": teacher_role(teacher)})
