"""Correlation Congruence for Knowledge Distillation (https://arxiv.org/abs/1904.01802)."""

import math
from typing import Literal

from torch import nn

from selfdistill.maths import unit
from selfdistill.method import Method
from selfdistill.pairs import EMBEDDING
from selfdistill.recipe import NotNegative, Positive, Several, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term


class Congruence(Term):
    """Two projections, both trained, between which neighbours in the batch should not differ in the same way."""

    views = (EMBEDDING,)
    reads = ("embedding",)
    rows = 2
    over = "batch"

    def __init__(self, width: int, weight: float):
        super().__init__()
        self.width, self.weight = width, weight

    def build(self, parts):
        """Project both embeddings to one width."""
        self.own = nn.Linear(parts.shapes["embedding"][-1], self.width)
        self.theirs = nn.Linear(parts.views["teacher"]["embedding"][-1], self.width)

    def loss(self, seen: Seen):
        """Mean over neighbours in the batch of <|e_i|, |e_i+1|>, e what lies between the projections."""
        return neighbours(self.own(seen.embedding), self.theirs(seen.views["teacher"].embedding))


class KernelCongruence(Term):
    """Images are as correlated as they are for the teacher, in a Gaussian kernel."""

    views = (EMBEDDING,)
    reads = ("embedding",)
    rows = 2
    over = "batch"

    def __init__(self, gamma: float, weight: float):
        super().__init__()
        self.gamma, self.weight = gamma, weight

    def loss(self, seen: Seen):
        """Mean squared difference of the two B x B correlations."""
        theirs = correlation(seen.views["teacher"].embedding, self.gamma)
        return (correlation(seen.embedding, self.gamma) - theirs).square().mean()


def neighbours(one, other):
    """Mean over i of the sum over d of |e_i,d| |e_i+1,d|, e = one - other. [B, D], [B, D] -> []."""
    apart = (one - other).abs()
    return (apart[:-1] * apart[1:]).sum(dim=1).mean()


def correlation(rows, gamma, order=2):
    """exp(-γ ‖x - y‖²) of rows of length 1, its Taylor series in <x, y> to this order. [B, D] -> [B, B]."""
    directions = unit(rows)
    alike = directions @ directions.T
    series = [(2 * gamma) ** p / math.factorial(p) * alike**p for p in range(order + 1)]
    return math.exp(-2 * gamma) * sum(series)


@recipe
def cc(
    teacher: str | None = None,
    weight: NotNegative = 0.02,
    form: Literal["neighbours", "kernel"] = "neighbours",
    width: Several = 128,
    gamma: Positive = 0.4,
) -> Method:
    """The labels, and a frozen teacher's correlations between images; `form="kernel"` is the paper's."""
    term = Congruence(width, weight) if form == "neighbours" else KernelCongruence(gamma, weight)
    return Method({"congruence": term}, networks={"teacher": teaching(teacher)})
