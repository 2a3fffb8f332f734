"""Relational Knowledge Distillation (https://arxiv.org/abs/1904.05068)."""

import torch
import torch.nn.functional as F

from selfdistill.maths import FAINT
from selfdistill.method import Method
from selfdistill.pairs import EMBEDDING
from selfdistill.recipe import NotNegative, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term

NEAR = 1e-10  # squared distance, in units of the largest entry, below which two rows point nowhere
FLOOR = 1e-12  # the least squared distance, as published


class Relations(Term):
    """Images lie to one another as they do for the teacher: at such distances, under such angles."""

    views = (EMBEDDING,)
    reads = ("embedding",)
    rows = 2
    over = "batch"

    def __init__(self, distance: float, angle: float):
        super().__init__()
        self.distance, self.angle = distance, angle

    def loss(self, seen: Seen):
        """Huber's loss between the two networks' distances, and between their angles."""
        own, theirs = (offsets(each) for each in (seen.embedding, seen.views["teacher"].embedding))
        far = F.smooth_l1_loss(distances(own), distances(theirs))
        turned = F.smooth_l1_loss(angles(own), angles(theirs))
        return self.distance * far + self.angle * turned


def offsets(rows):
    """What leads from each row to each other one, in units of the largest entry. [B, D] -> [B, B, D]."""
    rows = rows / rows.detach().abs().max().clamp_min(FAINT)
    return rows[None] - rows[:, None]


def distances(offsets):
    """Euclidean distances over the mean one between two rows. [B, B, D] -> [B, B]."""
    apart = 1 - torch.eye(len(offsets), dtype=offsets.dtype, device=offsets.device)
    lengths = offsets.square().sum(dim=2).clamp_min(FLOOR).sqrt() * apart
    return lengths / (lengths.sum() / apart.sum())


def angles(offsets):
    """Cosine of the angle at each row between any two others. [B, B, D] -> [B, B, B]."""
    squared = offsets.square().sum(dim=2, keepdim=True)
    unit = torch.where(squared > NEAR, offsets, 0.0) * squared.clamp_min(NEAR).rsqrt()
    return unit @ unit.transpose(1, 2)


@recipe
def rkd(teacher: str | None = None, distance: NotNegative = 25.0, angle: NotNegative = 50.0) -> Method:
    """The labels, and the distances and angles between a frozen teacher's embeddings."""
    return Method({"relations": Relations(distance, angle)}, networks={"teacher": teaching(teacher)})
