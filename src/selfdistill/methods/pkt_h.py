"""Heterogeneous Knowledge Distillation using Information Flow Modeling (https://arxiv.org/abs/2005.00727)."""

from torch import Tensor

from selfdistill.functional import information_flow, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, ForwardPass, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import match_stages


class InformationFlow(LossTerm):
    """Neighbor probabilities of embeddings match the teacher's, and at first those of inner stages too."""

    taps, requires = ("stages",), ("embedding",)
    views = (ForwardPass("teacher", grad=False, network="teacher", taps=("stages", "embedding")),)
    min_batch_size, reduction, uses_progress = 2, "batch", True

    def __init__(self, inner: float, decay: float, weight: float):
        super().__init__()
        self.inner, self.decay, self.weight = inner, decay, weight

    def build(self, context: BuildContext) -> None:
        """Match the student's stages to the teacher's; the embeddings stand for the last ones."""
        self.matched = match_stages(context)[:-1]

    def loss(self, context: StepContext) -> LossValue:
        """Compute J of the embeddings, and inner · decay^epoch times the sum of J over inner stages."""
        last = information_flow(context.embedding, context.views["teacher"].embedding)
        inner = [self.between(context, *names) for names in self.matched]
        return last + self.inner * self.decay**context.progress.epoch * sum_tensors(inner) if inner else last

    def between(self, context: StepContext, own: str, deep: str) -> Tensor:
        """Compute J of two pooled stages. -> []."""
        student, teacher = context.features[own], context.views["teacher"].features[deep]
        return information_flow(context.rows.pool(student), context.rows.pool(teacher))


@method_constructor
def pkt_h(
    teacher: str | None = None, weight: NonNegative = 1.0, inner: NonNegative = 100.0, decay: Share = 0.7
) -> Method:
    """A teacher's information flow through its stages (Passalis et al., 2020, arXiv:2005.00727).

    `inner` is the weight of inner stages in the first epoch, `decay` its factor from epoch to epoch.

    >>> from selfdistill.methods import pkt_h
    >>> print(pkt_h(inner=10.0).text)
    pkt_h(inner=10.0)
    """
    return Method({"flow": InformationFlow(inner, decay, weight)}, networks={"teacher": teacher_role(teacher)})
