"""A Gift from Knowledge Distillation: Fast Optimization (https://doi.org/10.1109/CVPR.2017.754)."""

from itertools import pairwise

from selfdistill.errors import UserError
from selfdistill.functional import channels, flow_matrix, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, CrossEntropy, LossValue, StepContext
from selfdistill.terms.pairs import StagePairs


class SolutionFlow(StagePairs):
    """Products of the channels of consecutive stages match the teacher's."""

    min_stages = 2

    def __init__(self, alone: float, weight: float):
        super().__init__()
        self.alone, self.uses_progress, self.weight = alone, alone > 0, weight

    def build(self, context: BuildContext) -> None:
        """Pair each matched stage with the next; channels must be those of the teacher."""
        super().build(context)
        widths = [
            (channels(context.shapes[own]), channels(context.views["teacher"][deep])) for own, deep in self.matched
        ]
        if len(widths) < 2 or any(own != deep for own, deep in widths):
            raise UserError(
                f"fsp() compares the channels of two stages or more one by one, but student and teacher have {widths}; "
                "take a teacher of the student's widths, or fitnet(), at() or pkt_h()"
            )

    def loss(self, context: StepContext) -> LossValue:
        """Sum over pairs of stages the mean squared difference of G; zero after `alone` epochs, if there are any."""
        own, teacher = context.features, context.views["teacher"].features
        pairs = pairwise(self.matched)
        gaps = [flow_matrix(own[a], own[b]) - flow_matrix(teacher[x], teacher[y]) for (a, x), (b, y) in pairs]
        total = sum_tensors(gap.square().mean() for gap in gaps)
        return total * (context.progress.epoch < self.alone) if self.alone else total


@method_constructor
def fsp(teacher: str | None = None, weight: NonNegative = 50.0, alone: NonNegative = 0.0) -> Method:
    """A teacher's flow between stages (Yim et al., 2017), beside cross-entropy or `alone` in the first epochs.

    >>> from selfdistill.methods import fsp
    >>> print(fsp(alone=30.0).text)
    fsp(alone=30.0)
    """
    task, networks = CrossEntropy(start=alone) if alone else None, {"teacher": teacher_role(teacher)}
    return Method({"flow": SolutionFlow(alone, weight)}, task=task, networks=networks)
