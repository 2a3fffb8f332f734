"""Two memory banks: for every training image what the student and the teacher last showed of it."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selfdistill.data.batch import Batch
from selfdistill.distributed import gathered
from selfdistill.functional import EPS, log_normaliser
from selfdistill.terms import Memory, TableUpdate, TrainingInfo

Banks = Mapping[str, Tensor]  # "student" and "teacher" [N, D], "logs" [2] and whether they were "measured" []


def started(info: TrainingInfo, width: int) -> Memory:
    """Short rows at random, the same on every rank, and constants that are not measured."""
    draws = torch.rand(2, info.images, width, generator=Generator().manual_seed(0))
    student, teacher = (draws.to(info.like) * 2 - 1) / math.sqrt(width / 3)
    measured = torch.zeros_like(info.like)
    return {"student": student.clone(), "teacher": teacher.clone(), "logs": measured.repeat(2), "measured": measured}


def places(batch: Batch) -> Tensor:
    """Each row's own place in the data set, and those of its negatives. -> [B, 1 + K]."""
    return torch.cat([batch.index[:, None], batch.extra["negatives"]], dim=1)


def scores(own: Mapping[str, Tensor], banks: Banks, places: Tensor) -> list[Tensor]:
    """How alike each row and the other bank's rows at its places are. [B, D] each, [B, P] -> [B, P] each.

    Every row meets the whole bank in one product: gathering thousands of its rows for each would move far more.
    The bank is copied, for it may be written to before the backward pass reads it.
    """
    pairs = (own["student"], banks["teacher"]), (own["teacher"], banks["student"])
    return [(rows @ bank.clone().T).gather(1, places) for rows, bank in pairs]


def constants(scores: list[Tensor], banks: Banks) -> Tensor:
    """Give log Z of both: what was measured at the first batch, of all ranks, for ever after. -> [2]."""
    now = torch.stack([log_normaliser(each.detach(), len(banks["student"])) for each in scores])
    of_ranks = gathered(now[None])
    mean = of_ranks.logsumexp(dim=0) - math.log(len(of_ranks))
    return torch.where(banks["measured"] > 0, banks["logs"], mean)


def followed(banks: Banks, own: Mapping[str, Tensor], index: Tensor, momentum: float) -> dict[str, TableUpdate]:
    """What to write into the banks: their rows of this batch, moved towards its own, of length 1."""
    moved = {name: momentum * banks[name][index] + (1 - momentum) * rows.detach() for name, rows in own.items()}
    return {name: TableUpdate(index, F.normalize(rows, dim=1, eps=EPS)) for name, rows in moved.items()}
