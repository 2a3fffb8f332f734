"""Contrastive representation distillation (https://arxiv.org/abs/1910.10699)."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, nn

from selfdistill.maths import FAINT
from selfdistill.method import Method
from selfdistill.needs import Negatives
from selfdistill.ranks import gathered
from selfdistill.recipe import NotNegative, Positive, Several, Share, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Facts, Rows, Seen, Term, View

EPS = 1e-7


class Contrast(Term):
    """The student's embedding of an image is told from other images by the teacher's of it, and the reverse."""

    views = (View("teacher", grad=False, network="teacher", taps=("embedding",)),)
    reads = ("embedding",)
    mixed = False
    indexed = True
    memory_scope = "run"  # what was last seen of each image by both, and two constants

    def __init__(self, width: int, temperature: float, momentum: float, weight: float):
        super().__init__()
        self.width, self.temperature, self.momentum, self.weight = width, temperature, momentum, weight

    def build(self, parts):
        """Make a linear projection of each network's embedding."""
        self.project = nn.Linear(parts.shapes["embedding"][-1], self.width)
        self.project_teacher = nn.Linear(parts.views["teacher"]["embedding"][-1], self.width)

    def start(self, facts: Facts):
        """Short rows at random, the same on every rank, and constants that are not measured."""
        draws = torch.rand(2, facts.images, self.width, generator=Generator().manual_seed(0))
        student, teacher = (draws.to(facts.like) * 2 - 1) / math.sqrt(self.width / 3)
        measured = torch.zeros_like(facts.like)
        return {
            "student": student.clone(),
            "teacher": teacher.clone(),
            "logs": measured.repeat(2),
            "measured": measured,
        }

    def forward(self, seen: Seen):
        """Contrast both embeddings with the other's table, and write them into their own."""
        own = {"student": unit(self.project(seen.embedding))}
        own["teacher"] = unit(self.project_teacher(seen.views["teacher"].embedding))
        at = places(seen.batch)
        scores = self.scores(own, seen.memory, at)
        logs = constants(scores, seen.memory)
        share = (scores[0].shape[1] - 1) / len(seen.memory["student"])
        value = sum(contrast(each - log, share) for each, log in zip(scores, logs.unbind(), strict=True))
        tables = self.written(own, seen.memory, at[:, 0])
        return value, {**tables, "logs": logs, "measured": torch.ones_like(seen.memory["measured"])}

    def scores(self, own, memory, places):
        """How alike each row and the other's rows at its places are. -> student's and teacher's [B, 1 + K]."""
        pairs = (own["student"], memory["teacher"]), (own["teacher"], memory["student"])
        return [(table[places] @ rows[:, :, None]).squeeze(2) / self.temperature for rows, table in pairs]

    def written(self, own, memory, index):
        """Move each table's rows of this batch towards what was seen now."""
        keep = self.momentum
        moved = {name: keep * memory[name][index] + (1 - keep) * rows.detach() for name, rows in own.items()}
        return {name: Rows(index, unit(rows)) for name, rows in moved.items()}


def places(batch):
    """Each row's own place in the data set, and those of its negatives. -> [B, 1 + K]."""
    return torch.cat([batch.index[:, None], batch.extra["negatives"]], dim=1)


def unit(rows):
    """Rows of length 1. [B, D] -> [B, D]."""
    return F.normalize(rows, dim=1, eps=FAINT)


def constants(scores, memory):
    """Give log Z of both: what was measured at the first batch, of all ranks, for ever after. -> [2]."""
    images = len(memory["student"])
    now = torch.stack([each.detach().logsumexp(dim=(0, 1)) - math.log(each.numel() / images) for each in scores])
    ranks = gathered(now[None])
    mean = ranks.logsumexp(dim=0) - math.log(len(ranks))
    return torch.where(memory["measured"] > 0, memory["logs"], mean)


def contrast(log_x, share):
    """Mean loss of telling the first column from the others, which are so likely. [B, 1 + K] -> []."""
    odds = log_x - math.log(share + EPS)
    others = F.logsigmoid(-odds[:, 1:]) + math.log(share / (share + EPS))
    return -(F.logsigmoid(odds[:, 0]) + others.sum(dim=1)).mean()


@recipe
def crd(
    teacher: str | None = None,
    weight: NotNegative = 0.8,
    negatives: Several = 16384,
    width: Several = 128,
    temperature: Positive = 0.07,
    momentum: Share = 0.5,
) -> Method:
    """A frozen teacher's embedding of an image is nearer to the student's than those of other classes."""
    term = Contrast(width, temperature, momentum, weight)
    needs = {"negatives": Negatives(negatives)}
    return Method({"contrast": term}, needs=needs, networks={"teacher": teaching(teacher)})
