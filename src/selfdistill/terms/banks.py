"""Memory banks of contrastive distillation: the latest student and teacher projections of every training example.

Tian et al., 2020 (https://arxiv.org/abs/1910.10699).
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selfdistill.data.batch import Batch
from selfdistill.distributed import all_gather
from selfdistill.functional import EPS, log_normalizer, nce_loss, sum_tensors
from selfdistill.inputs import only_tensor
from selfdistill.terms.memory import TableUpdate
from selfdistill.terms.tables import read_bank, start_bank
from selfdistill.terms.term import TrainingInfo

Banks = Mapping[str, Tensor]  # "student" and "teacher" [N, D], "logs" [2], and "measured" [], 1 once "logs" are set


def initial_banks(info: TrainingInfo, width: int) -> dict[str, Tensor]:
    """Draw short random rows, equal on every rank, and mark the normalizers as not measured."""
    draws = torch.rand(2, info.images, width, generator=Generator().manual_seed(0))
    student, teacher = (draws.to(info.like) * 2 - 1) / math.sqrt(width / 3)
    measured = torch.zeros_like(info.like)
    return {
        "student": start_bank(info, student),
        "teacher": start_bank(info, teacher),
        "logs": measured.repeat(2),
        "measured": measured,
    }


def bank_index(index: Tensor, batch: Batch) -> Tensor:
    """Concatenate each row's index in the data set with the indices of its K negatives. [B] -> [B, 1 + K]."""
    return torch.cat([index[:, None], only_tensor(batch.extra["negatives"])], dim=1)


def contrast_scores(own: Mapping[str, Tensor], banks: Banks, index: Tensor) -> list[Tensor]:
    """Compute dot products of each row with the other network's bank at its index. [B, D] twice, [B, P] -> 2 x [B, P].

    Each row is multiplied by the whole bank: gathering thousands of bank rows per example would move
    far more memory. The bank is copied, since it may be updated before the backward pass.
    """
    pairs = (own["student"], banks["teacher"]), (own["teacher"], banks["student"])
    return [(rows @ read_bank(bank).T).gather(1, index) for rows, bank in pairs]


def log_normalizers(scores: list[Tensor], banks: Banks) -> Tensor:
    """Return log Z of both networks, measured over all ranks at the first batch and constant afterwards. -> [2]."""
    now = torch.stack([log_normalizer(each.detach(), len(banks["student"])) for each in scores])
    gathered = all_gather(now[None])
    mean = gathered.logsumexp(dim=0) - math.log(len(gathered))
    return torch.where(banks["measured"] > 0, banks["logs"], mean)


def contrastive_loss(
    own: Mapping[str, Tensor], banks: Banks, index: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return the sum of both networks' NCE losses against the other's bank, and the log Z used. -> [], [2]."""
    scores = [each / temperature for each in contrast_scores(own, banks, index)]
    logs, share = log_normalizers(scores, banks), (index.shape[1] - 1) / len(banks["student"])
    return sum_tensors(nce_loss(each - log, share) for each, log in zip(scores, logs.unbind(), strict=True)), logs


def bank_updates(banks: Banks, own: Mapping[str, Tensor], index: Tensor, momentum: float) -> dict[str, TableUpdate]:
    """Return the momentum update of this batch's bank rows, scaled to L2 norm 1."""
    moved = {name: momentum * banks[name][index] + (1 - momentum) * rows.detach() for name, rows in own.items()}
    return {name: TableUpdate(index, F.normalize(rows, dim=1, eps=EPS)) for name, rows in moved.items()}
