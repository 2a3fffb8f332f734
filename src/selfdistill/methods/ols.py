"""Online label smoothing: Delving Deep into Label Smoothing (https://arxiv.org/abs/2011.12562)."""

from typing import Literal

import torch
import torch.nn.functional as F

from selfdistill.distributed import all_reduce_sum
from selfdistill.functional import class_mean_predictions, right_prediction_sums, weighted_log
from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.terms import LossTerm, LossValue, Memory, StepContext, TrainingInfo


class OnlineLabels(LossTerm):
    """Soft labels of each class: the mean of its right predictions in the previous epoch."""

    supports_mixup = False
    supports_tags = False  # the table has a row for each class
    needs_labels = True
    uses_progress = True
    memory_scope = "run"  # soft labels [C, C]; this epoch's sums and counts [C, C + 1]; the epoch []

    def __init__(self, alpha: float, first: str):
        super().__init__()
        self.alpha, self.first = alpha, first

    def start(self, info: TrainingInfo) -> Memory:
        """Start with labels of zeros, or of 1 / C each."""
        labels = info.like.new_full((info.classes,) * 2, 1 / info.classes if self.first == "uniform" else 0.0)
        return {"labels": labels, "sums": info.like.new_zeros(info.classes, info.classes + 1), "epoch": info.like * 0}

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Compute α CE(z, y) + (1 - α) CE(z, P_y), as cross-entropy plus its change; sum up right predictions."""
        memory, epoch, classes = context.memory_mapping, context.progress.epoch, context.batch.labels
        new = epoch > memory["epoch"]
        labels = torch.where(new, class_mean_predictions(memory["sums"]), memory["labels"])
        sums = all_reduce_sum(right_prediction_sums(context.logits.detach(), classes))  # of all ranks
        hard = context.cross_entropy(context.logits)
        soft = -weighted_log(labels[classes], F.log_softmax(context.logits, dim=1)).sum(dim=1).mean()
        value = {"learn": hard, "mimic": (1 - self.alpha) * (soft - hard)}
        sums = torch.where(new, 0.0, memory["sums"]) + sums
        return value, {"labels": labels, "sums": sums, "epoch": epoch.to(labels)}


@method_constructor
def ols(alpha: Share = 0.5, first: Literal["zero", "uniform"] = "zero") -> Method:
    """Soft labels of each class from its right predictions in the previous epoch (Zhang et al., 2021).

    `first` are the soft labels of the first epoch: zeros, as published, or 1 / C.

    >>> from selfdistill.methods import ols
    >>> print(ols(first="uniform").text)
    ols(first='uniform')
    """
    return Method(task=OnlineLabels(alpha, first))
