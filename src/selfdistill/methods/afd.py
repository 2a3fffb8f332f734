"""Show, Attend and Distill: Knowledge Distillation via Attention-based Feature Matching (arXiv:2102.02973)."""

from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional import attention_gap, channel_energy, sum_tensors
from selfdistill.heads import FeatureAttention
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Plural, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import STAGES, stage_names


class AttendedStages(LossTerm):
    """Attention maps of all stages match each of the teacher's, by learned shares."""

    taps, needs_spatial, views = ("stages",), True, (STAGES,)
    min_stages, min_batch_size = 2, 2  # of one stage every share is 1; for batch statistics

    def __init__(self, width: int, weight: float):
        super().__init__()
        self.width, self.weight = width, weight

    def build(self, context: BuildContext) -> None:
        """Make the attention between the stages of both networks."""
        own, teacher = context.shapes, context.views["teacher"]
        self.own, self.theirs = stage_names(own, spatial=True), stage_names(teacher, spatial=True)
        if not self.theirs:
            raise UserError("afd() compares attention maps, but no stage of the teacher has 2x2 positions; use kd()")
        shapes = [own[tap] for tap in self.own], [teacher[tap] for tap in self.theirs]
        self.attend = FeatureAttention(*shapes, self.width)

    def loss(self, context: StepContext) -> LossValue:
        """Sum over the teacher's stages the mean over rows of Σ_i share_i · mean (φ_i - φ)²."""
        own = [context.features[tap] for tap in self.own]
        teacher = [context.views["teacher"].features[tap] for tap in self.theirs]
        shares = self.attend(own, teacher).unbind(dim=1)
        energies = [channel_energy(each) for each in own]
        return sum_tensors(
            self.gap(each, energies, channel_energy(deep)) for each, deep in zip(shares, teacher, strict=True)
        )

    def gap(self, shares: Tensor, own: list[Tensor], deep: Tensor) -> Tensor:
        """Average the gaps to one stage of the teacher by their shares. [B, n], n of [B, 1, *sides] -> []."""
        gaps = [share * attention_gap(each, deep) for share, each in zip(shares.unbind(dim=1), own, strict=True)]
        return sum_tensors(gaps).mean()


@method_constructor
def afd(teacher: str | None = None, weight: NonNegative = 200.0, width: Plural = 128) -> Method:
    """A teacher's stages, each attended to by those of the student (Ji et al., 2021, arXiv:2102.02973).

    >>> from selfdistill.methods import afd
    >>> print(afd(width=64).text)
    afd(width=64)
    """
    return Method({"attended": AttendedStages(width, weight)}, networks={"teacher": teacher_role(teacher)})
