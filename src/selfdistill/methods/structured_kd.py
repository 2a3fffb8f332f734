"""Structured Knowledge Distillation for Semantic Segmentation (https://arxiv.org/abs/1903.04197)."""

from torch import Tensor

from selfdistill.functional import pairwise_gap, soft_cross_entropy
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, ForwardPass, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import StagePairs


class TeacherPixels(LossTerm):
    """Cross-entropy with the teacher's probabilities at each pixel, or row."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean over rows of -Σ p_T log p, at temperature 1."""
        return soft_cross_entropy(context.logits, context.views["teacher"].logits)


class PairsOfRegions(StagePairs):
    """Cosines between all regions of the last stage match the teacher's."""

    needs_spatial = True

    def __init__(self, scale: float, weight: float):
        super().__init__()
        self.scale, self.weight = scale, weight

    def build(self, context: BuildContext) -> None:
        """Take the last stage of each network."""
        super().build(context)
        self.matched = self.matched[-1:]

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean squared difference of the N x N cosines of each image."""
        return pairwise_gap(student, teacher, self.scale)


@method_constructor
def structured_kd(
    teacher: str | None = None, pixels: NonNegative = 1.0, pairs: NonNegative = 0.5, scale: Share = 0.5
) -> Method:
    """A teacher's predictions at each pixel, and its similarities between regions (Liu et al., 2019).

    `pixels` and `pairs` are weights; a region has a share `scale` of each side.

    >>> from selfdistill.methods import structured_kd
    >>> print(structured_kd(pairs=1.0).weights)
    {'task': 1.0, 'pixels': 1.0, 'pairs': 1.0}
    """
    terms = {"pixels": TeacherPixels(pixels), "pairs": PairsOfRegions(scale, pairs)}
    return Method(terms, networks={"teacher": teacher_role(teacher)})
