"""Cross-Layer Distillation with Semantic Calibration (https://arxiv.org/abs/2012.03236)."""

from collections.abc import Iterable
from typing import cast

from torch import nn

from selfdistill.errors import UserError
from selfdistill.functional import channels, sum_tensors
from selfdistill.heads import Bottleneck, GramAttention
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import STAGES, stage_names


class CalibratedStages(LossTerm):
    """Convolutions of each stage are near to all of the teacher's, by learned shares."""

    taps, views = ("stages",), (STAGES,)
    min_batch_size, reduction = 2, "batch"

    def __init__(self, weight: float, temperature: float):
        super().__init__()
        self.weight, self.temperature = weight, temperature

    def build(self, context: BuildContext) -> None:
        """Make the attention, which reads a whole batch, and convolutions between all pairs of stages."""
        own, teacher = context.shapes, context.views["teacher"]
        self.own, self.theirs = stage_names(own), stage_names(teacher)
        if not self.theirs:
            raise UserError("semckd() compares stages, but found none of the teacher; use kd()")
        self.pairs = [(tap, deep) for tap in self.own for deep in self.theirs]
        self.attend = GramAttention(len(self.own), len(self.theirs), own[self.own[0]][0], self.temperature)
        self.convolve = nn.ModuleList(
            Bottleneck(own[tap], teacher[deep], 2 * channels(teacher[deep])) for tap, deep in self.pairs
        )

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean over rows and the student's stages of Σ_j share_ij · mean (reg_ij(F_i) - F_j)²."""
        own, teacher = context.features, context.views["teacher"].features
        shares = self.attend([own[tap] for tap in self.own], [teacher[deep] for deep in self.theirs])
        each = zip(cast(Iterable[Bottleneck], self.convolve), shares.flatten(1).unbind(dim=1), self.pairs, strict=True)
        gaps = sum_tensors(share * project.gap(own[tap], teacher[deep]) for project, share, (tap, deep) in each)
        return gaps.mean() / len(self.own)


@method_constructor
def semckd(teacher: str | None = None, weight: NonNegative = 100.0, temperature: Positive = 1.0) -> Method:
    """A teacher's stages, shared out among those of the student (Chen et al., 2021, arXiv:2012.03236).

    >>> from selfdistill.methods import semckd
    >>> print(semckd(weight=50.0).text)
    semckd(weight=50.0)
    """
    return Method({"calibrated": CalibratedStages(weight, temperature)}, networks={"teacher": teacher_role(teacher)})
