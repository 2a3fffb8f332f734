"""Distillation with Shape-wise Regularization (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

import torch

from selfdistill.functional import kl_divergence, sort_logits
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import LossTerm, LossValue, Memory, StepContext, TrainingInfo


class ShapeRegularization(LossTerm):
    """KL between the sorted logits of this batch and of the previous one, row by row."""

    def __init__(self, temperature: float, weight: float, forget: Literal["epoch", "never"]):
        super().__init__()
        self.temperature, self.weight, self.reset_memory = temperature, weight, forget

    def start(self, info: TrainingInfo) -> Memory:
        """Start with logits of zeros, and a weight of zero."""
        return torch.zeros_like(info.like).expand(info.batch, info.classes).clone(), info.like * 0

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL(sg sort(z_prev) || sort(z)) over the rows of the shorter batch; zero at the first step."""
        last, met = context.memory_pair
        rows = min(len(last), len(context.logits))
        shape = kl_divergence(sort_logits(context.logits[:rows]), last[:rows], self.temperature)
        return torch.where(met > 0, shape, 0)  # not a product: it may be infinite before there is a memory

    def remember(self, context: StepContext) -> Memory:
        """Return this batch's sorted logits [B, C], and a weight of one; after a short batch older rows follow."""
        last, met = context.memory_pair
        rows = sort_logits(context.logits.detach()[: len(last)]).clamp_min(
            torch.finfo(context.logits.dtype).min
        )  # no -inf
        if missing := len(last) - len(rows):  # a short batch
            repeated = rows[torch.arange(len(last), device=rows.device) % len(rows)]
            rows = torch.cat([rows, torch.where(met > 0, last, repeated)[-missing:]])
        return rows, torch.ones_like(met)


@method_constructor
def dsr(weight: NonNegative = 1.0, temperature: Positive = 4.0, forget: Literal["epoch", "never"] = "epoch") -> Method:
    """Sorted predictions keep the shape of the previous batch's (Wang et al., 2023, arXiv:2305.09183).

    The memory restarts at each epoch, or with `forget="never"` lasts for the run.

    >>> from selfdistill.methods import dsr
    >>> print(dsr(forget="never").text)
    dsr(forget='never')
    """
    return Method({"shape": ShapeRegularization(temperature, weight, forget)})
