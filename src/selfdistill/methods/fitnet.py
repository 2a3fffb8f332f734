"""FitNets: Hints for Thin Deep Nets (https://arxiv.org/abs/1412.6550)."""

import torch
import torch.nn.functional as F
from torch import nn

from selfdistill.maths import alike
from selfdistill.method import Method
from selfdistill.recipe import NotNegative, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term, View


class Hint(Term):
    """A convolution on one of the student's stages regresses one of the teacher's."""

    rows = 2  # for batch statistics

    def __init__(self, tap: str, hint: str, relu: bool, weight: float):
        super().__init__()
        self.taps, self.hint, self.relu, self.weight = (tap,), hint, relu, weight
        self.views = (View("teacher", grad=False, network="teacher", taps=(hint,)),)

    def build(self, parts):
        """Fit a regressor between the two shapes."""
        self.regress = regressor(parts.shapes[self.taps[0]], parts.views["teacher"][self.hint], self.relu)

    def loss(self, seen: Seen):
        """Mean squared difference over all entries."""
        hint = seen.views["teacher"].features[self.hint].detach()
        student, hint = alike(seen.features[self.taps[0]], hint)
        guess = self.regress(student)
        return F.mse_loss(guess, F.adaptive_avg_pool2d(hint, guess.shape[2:]))


def regressor(student, teacher, relu=True):
    """A convolution from the student's shape to the teacher's, BatchNorm and ReLU. [B, D, H, W] or [B, N, D] each."""
    own, hint = (each.shape for each in alike(torch.empty(student), torch.empty(teacher)))
    fit = nn.Sequential()
    fit.add_module("conv", convolution(own[1], hint[1], [*zip(own[2:], hint[2:], strict=True)]))
    fit.add_module("bn", nn.BatchNorm2d(hint[1]))
    return fit.append(nn.ReLU()) if relu else fit


def convolution(width, out, sides):
    """The convolution that takes each side of a map to the wanted one: `sides` are (has, wanted)."""
    kinds = [step(has, wanted) for has, wanted in sides]
    kernel, stride, padding = zip(*(each for _, each in kinds), strict=True)
    grows = any(up for up, _ in kinds)
    return (nn.ConvTranspose2d if grows else nn.Conv2d)(width, out, kernel, stride, padding)


def step(has, wanted):
    """Whether a side doubles, and its kernel, stride and padding; a teacher's larger one is averaged down later."""
    if has == 2 * wanted:
        return False, (3, 2, 1)
    if 2 * has == wanted:
        return True, (4, 2, 1)
    return False, (1 + max(0, has - wanted), 1, 0)


@recipe
def fitnet(
    teacher: str | None = None,
    weight: NotNegative = 100.0,
    tap: str = "stage2",
    hint: str = "stage2",
    relu: bool = True,
) -> Method:
    """The labels, and a frozen teacher's features at one stage; `relu=False` for hints that can be negative."""
    return Method({"hint": Hint(tap, hint, relu, weight)}, networks={"teacher": teaching(teacher)})
