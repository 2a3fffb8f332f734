"""Distillation with Shape-wise Regularization (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

import torch

from selfdistill.errors import UserError
from selfdistill.functional import kl, ranked
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, recipe
from selfdistill.terms import Facts, Seen, Term


class Shape(Term):
    """Ranked predictions should look like the previous batch's, row by row."""

    def __init__(self, temperature: float, weight: float, forget: Literal["epoch", "never"]):
        super().__init__()
        self.temperature, self.weight, self.forget = temperature, weight, forget

    def start(self, facts: Facts):
        """No batch came before: logits of zeros, and a share of zero."""
        return torch.zeros_like(facts.like).expand(facts.batch, facts.classes).clone(), facts.like * 0

    def loss(self, seen: Seen):
        """T² KL(sg sort(z_prev) || sort(z)); zero at the first step."""
        last, met = seen.memory
        if last.shape != seen.logits.shape:
            raise UserError(
                f"dsr() compares each batch with the one before, row by row, but this one has "
                f"{len(seen.logits)} rows and the last had {len(last)}; use a loader with drop_last=True"
            )
        return met * kl(ranked(seen.logits), last, self.temperature)

    def remember(self, seen: Seen):
        """Keep this batch's ranked logits [B, C]."""
        _, met = seen.memory
        return ranked(seen.logits.detach()), torch.ones_like(met)


@recipe
def dsr(weight: NotNegative = 1.0, temperature: Positive = 4.0, forget: Literal["epoch", "never"] = "epoch") -> Method:
    """The shape of ranked outputs stays as it was a batch ago; starts again at each epoch."""
    return Method({"shape": Shape(temperature, weight, forget)})
