"""Distilling Knowledge via Knowledge Review (https://arxiv.org/abs/2104.09044)."""

import torch
import torch.nn.functional as F
from torch import nn

from selfdistill.maths import alike
from selfdistill.method import Method
from selfdistill.pairs import EMBEDDING, STAGES, paired
from selfdistill.recipe import NotNegative, Several, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term, View

GRIDS = (4, 2, 1)  # positions a side of the coarser looks at a map


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
        shapes = [(level_shape(parts.shapes[own]), level_shape(theirs[deep])) for own, deep in self.matched]
        middle = min(self.width, shapes[-1][0])
        last = len(shapes) - 1
        self.fusions = nn.ModuleList(Fusion(own, middle, out, k < last) for k, (own, out) in enumerate(shapes))

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


class Fusion(nn.Module):
    """One level's features and what came from the deeper one, each position weighing the two."""

    def __init__(self, width, middle, out, fuse):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(width, middle, 1, bias=False), nn.BatchNorm2d(middle))
        self.conv2 = nn.Sequential(nn.Conv2d(middle, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))
        self.att_conv = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if fuse else None

    def forward(self, own, deeper, size):
        """Give a guess of the teacher's map of this size [B, E, *size], and the residual to pass on."""
        fused = self.conv1(own)
        if self.att_conv is not None:
            deeper = F.interpolate(deeper, fused.shape[2:])
            gates = self.att_conv(torch.cat([fused, deeper], dim=1))
            fused = fused * gates[:, :1] + deeper * gates[:, 1:]
        fused = F.interpolate(fused, size)
        return self.conv2(fused), fused


def level_shape(shape):
    """The width D of what is [B, D, H, W], [B, N, D] or [B, D]."""
    return shape[2] if len(shape) == 3 else shape[1]


def hierarchical(student, teacher):
    """Mean squared differences of two maps as they are and over coarser grids, halving in weight. -> []."""
    grids = [grid for grid in GRIDS if grid < max(student.shape[2:])]
    gaps = [F.mse_loss(student, teacher), *(F.mse_loss(coarse(student, n), coarse(teacher, n)) for n in grids)]
    shares = [0.5**k for k in range(len(gaps))]
    return sum(share * gap for share, gap in zip(shares, gaps, strict=True)) / sum(shares)


def coarse(maps, grid):
    """Means over a grid of so many positions a side at most. [B, D, H, W] -> [B, D, h, w]."""
    return F.adaptive_avg_pool2d(maps, (min(grid, maps.shape[2]), min(grid, maps.shape[3])))


@recipe
def review_kd(
    teacher: str | None = None, weight: NotNegative = 5.0, width: Several = 512, warmup: NotNegative = 20.0
) -> Method:
    """The labels, and a frozen teacher's features at each level, guessed from that level and all deeper ones."""
    return Method({"review": Review(width, warmup, weight)}, networks={"teacher": teaching(teacher)})
