"""Correlation Congruence for Knowledge Distillation (https://arxiv.org/abs/1904.01802)."""

from typing import Literal

from torch import Tensor, nn

from selfdistill.functional import adjacent_congruence, gaussian_kernel
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Plural, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext
from selfdistill.terms.pairs import EmbeddingPairs


class AdjacentCongruence(EmbeddingPairs):
    """Correlation of student-teacher differences between adjacent rows, after two trained projections."""

    def __init__(self, width: int, weight: float):
        super().__init__()
        self.width, self.weight = width, weight

    def build(self, context: BuildContext) -> None:
        """Project both embeddings to one width."""
        self.own = nn.Linear(context.shapes["embedding"][-1], self.width)
        self.theirs = nn.Linear(context.views["teacher"]["embedding"][-1], self.width)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean over adjacent rows of <|e_i|, |e_i+1|>, e the difference of the projections."""
        return adjacent_congruence(self.own(student), self.theirs(teacher))


class KernelCongruence(EmbeddingPairs):
    """Mean squared difference of the batch's correlation matrices under a Gaussian kernel."""

    def __init__(self, gamma: float, weight: float):
        super().__init__()
        self.gamma, self.weight = gamma, weight

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean squared difference of the two B x B correlations."""
        return (gaussian_kernel(student, self.gamma) - gaussian_kernel(teacher, self.gamma)).square().mean()


@method_constructor
def cc(
    teacher: str | None = None,
    weight: NonNegative = 0.02,
    form: Literal["neighbours", "kernel"] = "neighbours",
    width: Plural = 128,
    gamma: Positive = 0.4,
) -> Method:
    """Correlations between images, as in a frozen teacher; `form="kernel"` is the paper's (Peng et al., 2019).

    >>> from selfdistill.methods import cc
    >>> print(cc(form="kernel").text)
    cc(form='kernel')
    """
    term = AdjacentCongruence(width, weight) if form == "neighbours" else KernelCongruence(gamma, weight)
    return Method({"congruence": term}, networks={"teacher": teacher_role(teacher)})
