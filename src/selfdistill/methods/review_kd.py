"""Distilling Knowledge via Knowledge Review (https://arxiv.org/abs/2104.09044)."""

import torch

from selfdistill.functional import as_matching_maps, hcl_loss, match_ndim
from selfdistill.heads import attentive_fusions
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Plural, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, ForwardPass, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import match_stages


class KnowledgeReview(LossTerm):
    """Student features, fused from the deepest level up, regress the teacher's at each level."""

    taps = ("stages",)
    views = (ForwardPass("teacher", grad=False, network="teacher", taps=("stages", "embedding")),)
    requires = ("embedding",)
    min_batch_size = 2  # for batch statistics

    def __init__(self, width: int, warmup: float, weight: float):
        super().__init__()
        self.width, self.ramp_epochs, self.uses_progress, self.weight = width, warmup, warmup > 0, weight

    def build(self, context: BuildContext) -> None:
        """Make a fusion for each level: the stages, and the embedding."""
        self.matched, teacher = match_stages(context), context.views["teacher"]
        if context.shapes["embedding"][0] == context.shapes[self.matched[0][0]][0]:  # of an example, not a pixel
            self.matched.append(("embedding", "embedding"))
        shapes = [(context.shapes[own], teacher[deep]) for own, deep in self.matched]
        self.fusions = attentive_fusions(shapes, self.width)

    def loss(self, context: StepContext) -> LossValue:
        """Sum the hierarchical context loss over levels, ramped up over the first epochs."""
        passes = context.anchor, context.views["teacher"]
        own, teacher = ({**each.features, "embedding": each.embedding} for each in passes)
        pairs = [as_matching_maps(own[one], teacher[other].detach()) for one, other in self.matched]
        maps = match_ndim([each for pair in pairs for each in pair])
        residual, gaps = None, []
        for fuse, student, target in reversed(list(zip(self.fusions, maps[::2], maps[1::2], strict=True))):
            guess, residual = fuse(student, residual, target.shape[2:])
            gaps.append(hcl_loss(guess, target))
        return context.progress.linear_ramp(self.ramp_epochs) * torch.stack(gaps).sum()


@method_constructor
def review_kd(
    teacher: str | None = None, weight: NonNegative = 5.0, width: Plural = 512, warmup: NonNegative = 20.0
) -> Method:
    """A frozen teacher's features at each level, regressed from that level and deeper ones (Chen et al., 2021).

    >>> from selfdistill.methods import review_kd
    >>> print(review_kd(warmup=0.0).text)
    review_kd(warmup=0.0)
    """
    return Method({"review": KnowledgeReview(width, warmup, weight)}, networks={"teacher": teacher_role(teacher)})
