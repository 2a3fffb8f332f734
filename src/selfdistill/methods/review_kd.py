"""Distilling Knowledge via Knowledge Review (https://arxiv.org/abs/2104.09044)."""

import torch
from torch import nn

from selfdistill.functional import as_matching_maps, channels, hcl_loss
from selfdistill.heads import AttentiveFusion
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Several, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, StepContext
from selfdistill.terms.pairs import EMBEDDING, STAGES, paired


class Review(LossTerm):
    """Features of the student, fused from the deepest up, guess the teacher's at each level."""

    taps = ("stages",)
    views = (ForwardPass("teacher", grad=False, network="teacher", taps=(*STAGES.taps, *EMBEDDING.taps)),)
    requires = ("embedding",)
    min_batch_size = 2  # for batch statistics

    def __init__(self, width: int, warmup: float, weight: float):
        super().__init__()
        self.width, self.warmup, self.uses_progress, self.weight = width, warmup, warmup > 0, weight

    def build(self, context):
        """Make a fusion for each level: the stages, and the embedding as a map of one position."""
        self.matched = [*paired(context), ("embedding", "embedding")]
        theirs = context.views["teacher"]
        shapes = [(channels(context.shapes[own]), channels(theirs[deep])) for own, deep in self.matched]
        middle = min(self.width, shapes[-1][0])
        last = len(shapes) - 1
        self.fusions = nn.ModuleList(AttentiveFusion(own, middle, out, k < last) for k, (own, out) in enumerate(shapes))

    def loss(self, context: StepContext):
        """Sum over levels of the hierarchical distance, growing over the first epochs."""
        levels = list(zip(self.fusions, self.levels(context), strict=True))
        residual, gaps = None, []
        for fuse, (own, theirs) in reversed(levels):
            guess, residual = fuse(own, residual, theirs.shape[2:])
            gaps.append(hcl_loss(guess, theirs))
        return context.progress.ramp(self.warmup) * torch.stack(gaps).sum()

    def levels(self, context):
        """What each network shows at each level, as maps; shallow first."""
        own = {**context.features, "embedding": context.embedding[:, :, None, None]}
        shown = context.views["teacher"]
        theirs = {**shown.features, "embedding": shown.embedding[:, :, None, None]}
        return [as_matching_maps(own[one], theirs[other].detach()) for one, other in self.matched]


@method_constructor
def review_kd(
    teacher: str | None = None, weight: NotNegative = 5.0, width: Several = 512, warmup: NotNegative = 20.0
) -> Method:
    """The labels, and a frozen teacher's features at each level, guessed from that level and all deeper ones."""
    return Method({"review": Review(width, warmup, weight)}, networks={"teacher": teacher_role(teacher)})
