"""Distillation with Shape-wise Regularization (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

import torch

from selfdistill.errors import UserError
from selfdistill.functional import kl_divergence, sort_logits
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import LossTerm, StepContext, TrainingInfo


class Shape(LossTerm):
    """Ranked predictions should look like the previous batch's, row by row."""

    def __init__(self, temperature: float, weight: float, forget: Literal["epoch", "never"]):
        super().__init__()
        self.temperature, self.weight, self.reset_memory = temperature, weight, forget

    def start(self, info: TrainingInfo):
        """No batch came before: logits of zeros, and a share of zero."""
        return torch.zeros_like(info.like).expand(info.batch, info.classes).clone(), info.like * 0

    def loss(self, context: StepContext):
        """T² KL(sg sort(z_prev) || sort(z)); zero at the first step."""
        last, met = context.memory
        if last.shape != context.logits.shape:
            raise UserError(
                f"dsr() compares each batch with the one before, row by row, but this one has "
                f"{len(context.logits)} rows and the last had {len(last)}; use a loader with drop_last=True"
            )
        return met * kl_divergence(sort_logits(context.logits), last, self.temperature)

    def remember(self, context: StepContext):
        """Keep this batch's ranked logits [B, C]."""
        _, met = context.memory
        return sort_logits(context.logits.detach()), torch.ones_like(met)


@method_constructor
def dsr(weight: NotNegative = 1.0, temperature: Positive = 4.0, forget: Literal["epoch", "never"] = "epoch") -> Method:
    """The shape of ranked outputs stays as it was a batch ago; starts again at each epoch."""
    return Method({"shape": Shape(temperature, weight, forget)})
