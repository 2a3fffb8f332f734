"""Correlation Congruence for Knowledge Distillation (https://arxiv.org/abs/1904.01802)."""

from typing import Literal

from torch import nn

from selfdistill.functional import gaussian
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import EmbeddingPairs


class Congruence(EmbeddingPairs):
    """Two projections, both trained, between which neighbours in the batch should not differ in the same way."""

    def __init__(self, width: int, weight: float):
        super().__init__()
        self.width, self.weight = width, weight

    def build(self, context):
        """Project both embeddings to one width."""
        self.own = nn.Linear(context.shapes["embedding"][-1], self.width)
        self.theirs = nn.Linear(context.views["teacher"]["embedding"][-1], self.width)

    def compare(self, student, teacher):
        """Mean over neighbours in the batch of <|e_i|, |e_i+1|>, e what lies between the projections."""
        return neighbours(self.own(student), self.theirs(teacher))


class KernelCongruence(EmbeddingPairs):
    """Images are as correlated as they are for the teacher, in a Gaussian kernel."""

    def __init__(self, gamma: float, weight: float):
        super().__init__()
        self.gamma, self.weight = gamma, weight

    def compare(self, student, teacher):
        """Mean squared difference of the two B x B correlations."""
        return (gaussian(student, self.gamma) - gaussian(teacher, self.gamma)).square().mean()


def neighbours(one, other):
    """Mean over i of the sum over d of |e_i,d| |e_i+1,d|, e = one - other. [B, D], [B, D] -> []."""
    apart = (one - other).abs()
    return (apart[:-1] * apart[1:]).sum(dim=1).mean()


@method_constructor
def cc(
    teacher: str | None = None,
    weight: NotNegative = 0.02,
    form: Literal["neighbours", "kernel"] = "neighbours",
    width: Several = 128,
    gamma: Positive = 0.4,
) -> Method:
    """The labels, and a frozen teacher's correlations between images; `form="kernel"` is the paper's."""
    term = Congruence(width, weight) if form == "neighbours" else KernelCongruence(gamma, weight)
    return Method({"congruence": term}, networks={"teacher": teacher_role(teacher)})
