"""Knowledge Distillation with the Reused Teacher Classifier (https://arxiv.org/abs/2203.14001)."""

from typing import Literal

from torch import Tensor

from selfdistill.functional import channels
from selfdistill.heads import Bottleneck
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import CLASSIFIED, BuildContext, ForwardPass, LossValue, StepContext
from selfdistill.terms.reused_classifier import ReusedClassifier


class ProjectedStage(ReusedClassifier):
    """Convolutions of the last stage are near to the teacher's; the linear map reads what they train."""

    taps, min_batch_size = (CLASSIFIED,), 2  # for batch statistics
    views = (ForwardPass("teacher", grad=False, network="teacher", taps=(CLASSIFIED, "embedding")),)

    def build(self, context: BuildContext) -> None:
        """Make the map and the convolutions."""
        super().build(context)
        teacher = context.views["teacher"][CLASSIFIED]
        self.convolve = Bottleneck(context.shapes[CLASSIFIED], teacher, channels(teacher) // 2, rectified=True)

    def loss(self, context: StepContext) -> LossValue:
        """Compute mean (h - F_t)² + mean (A f - f_t)², of which the second passes no gradient to the student."""
        return self.stage_gap(context) + self.gap(context.embedding.detach(), context) + 0 * context.logits.sum()

    def stage_gap(self, context: StepContext) -> Tensor:
        """Compute the mean squared error of the convolutions. -> []."""
        teacher = context.views["teacher"].features[CLASSIFIED]
        return self.convolve.gap(context.features[CLASSIFIED], teacher).mean()


@method_constructor
def simkd(
    teacher: str | None = None, weight: NonNegative = 1.0, projector: Literal["linear", "bottleneck"] = "linear"
) -> Method:
    """A teacher's embedding, regressed, and its classifier, reused (Chen et al., 2022, arXiv:2203.14001).

    `projector="bottleneck"` is the published one; what is deployed then is a linear map of the same features.

    >>> from selfdistill.methods import simkd
    >>> print(simkd(projector="bottleneck").text)
    simkd(projector='bottleneck')
    """
    term = ReusedClassifier() if projector == "linear" else ProjectedStage()
    return Method(task=term, task_weight=weight, networks={"teacher": teacher_role(teacher)})
