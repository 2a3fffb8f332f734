"""Distilling Knowledge via Knowledge Review (https://arxiv.org/abs/2104.09044)."""

import torch
from torch import nn

from selfdistill.functional import alike, hierarchical, width
from selfdistill.heads import AttentiveFusion
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Several, recipe
from selfdistill.method.networks import teaching
from selfdistill.terms import Seen, Term, View
from selfdistill.terms.pairs import EMBEDDING, STAGES, paired


class Review(Term):
    """Features of the student, fused from the deepest up, guess the teacher's at each level."""

    taps = ("stages",)
    views = (View("teacher", grad=False, network="teacher", taps=(*STAGES.taps, *EMBEDDING.taps)),)
    reads = ("embedding",)
    rows = 2  # for batch statistics

    def __init__(self, width: int, warmup: float, weight: float):
        super().__init__()
        self.width, self.warmup, self.timed, self.weight = width, warmup, warmup > 0, weight

    def build(self, parts):
        """Make a fusion for each level: the stages, and the embedding as a map of one position."""
        self.matched = [*paired(parts), ("embedding", "embedding")]
        theirs = parts.views["teacher"]
        shapes = [(width(parts.shapes[own]), width(theirs[deep])) for own, deep in self.matched]
        middle = min(self.width, shapes[-1][0])
        last = len(shapes) - 1
        self.fusions = nn.ModuleList(AttentiveFusion(own, middle, out, k < last) for k, (own, out) in enumerate(shapes))

    def loss(self, seen: Seen):
        """Sum over levels of the hierarchical distance, growing over the first epochs."""
        levels = list(zip(self.fusions, self.levels(seen), strict=True))
        residual, gaps = None, []
        for fuse, (own, theirs) in reversed(levels):
            guess, residual = fuse(own, residual, theirs.shape[2:])
            gaps.append(hierarchical(guess, theirs))
        return seen.clock.ramp(self.warmup) * torch.stack(gaps).sum()

    def levels(self, seen):
        """What each network shows at each level, as maps; shallow first."""
        own = {**seen.features, "embedding": seen.embedding[:, :, None, None]}
        shown = seen.views["teacher"]
        theirs = {**shown.features, "embedding": shown.embedding[:, :, None, None]}
        return [alike(own[one], theirs[other].detach()) for one, other in self.matched]


@recipe
def review_kd(
    teacher: str | None = None, weight: NotNegative = 5.0, width: Several = 512, warmup: NotNegative = 20.0
) -> Method:
    """The labels, and a frozen teacher's features at each level, guessed from that level and all deeper ones."""
    return Method({"review": Review(width, warmup, weight)}, networks={"teacher": teaching(teacher)})
