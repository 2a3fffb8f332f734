"""Variational Information Distillation (https://arxiv.org/abs/1904.05835)."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from selfdistill.maths import alike, same_size
from selfdistill.method import Method
from selfdistill.pairs import StagePairs
from selfdistill.recipe import NotNegative, Positive, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen

LEAST = 1e-5  # variance


class Information(StagePairs):
    """A guess of the teacher's features from the student's, and how sure it is of each channel."""

    def __init__(self, variance: float, weight: float):
        super().__init__()
        self.variance, self.weight = variance, weight

    def build(self, parts):
        """Make a guess for each pair of stages."""
        super().build(parts)
        theirs = parts.views["teacher"]
        self.guesses = nn.ModuleList(
            Guess(parts.shapes[own], theirs[deep], self.variance) for own, deep in self.matched
        )

    def loss(self, seen: Seen):
        """Sum over stages of the negative log-likelihood, without its constant."""
        theirs = seen.views["teacher"].features
        pairs = zip(self.guesses, self.matched, strict=True)
        return torch.stack([g(seen.features[own], theirs[deep].detach()) for g, (own, deep) in pairs]).sum()


class Guess(nn.Module):
    """A Gaussian for one stage of the teacher: its mean three 1x1 convolutions, one variance a channel."""

    def __init__(self, student, teacher, variance):
        super().__init__()
        own, out = (each.shape[1] for each in alike(torch.empty(student), torch.empty(teacher)))
        layers = [nn.Conv2d(width, out, 1, bias=False) for width in (own, out, out)]
        self.regressor = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        self.log_scale = nn.Parameter(torch.full((out,), math.log(math.expm1(max(variance - LEAST, LEAST)))))

    def forward(self, student, teacher):
        """Mean over all entries of ((mean - t)² / v + log v) / 2. -> []."""
        student, teacher = same_size(student, teacher)
        variance = (F.softplus(self.log_scale) + LEAST)[:, None, None]
        return ((self.regressor(student) - teacher).square() / variance + variance.log()).mean() / 2


@recipe
def vid(teacher: str | None = None, weight: NotNegative = 1.0, variance: Positive = 5.0) -> Method:
    """The labels, and as much information about a frozen teacher's features as the student can hold."""
    return Method({"information": Information(variance, weight)}, networks={"teacher": teaching(teacher)})
