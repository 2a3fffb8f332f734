"""Self Attention Distillation (https://arxiv.org/abs/1908.00821)."""

from typing import Literal

import torch

from selfdistill.functional import as_matching_maps, resize
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.terms import LossTerm, StepContext
from selfdistill.terms.pairs import within


class NextAttention(LossTerm):
    """Each stage attends where the next deeper one does."""

    taps = ("stages",)
    needs_spatial = True  # in a 1x1 map all attention is alike

    def __init__(self, form: str, start: float, detach: bool, weight: float):
        super().__init__()
        self.form, self.first, self.uses_progress = form, start, start > 0
        self.detach, self.weight = detach, weight

    def build(self, context):
        """Pair each stage with the next."""
        self.matched = within(context.shapes, "sad()", maps=True)

    def loss(self, context: StepContext):
        """Sum over stages of the mean squared difference of attention; zero before its first epoch."""
        gaps = [self.compare(context.features[own], context.features[deep]) for own, deep in self.matched]
        return self.share(context) * torch.stack(gaps).sum()

    def share(self, context):
        """1 from the first epoch on, else 0."""
        return (context.progress.epoch >= self.first).to(context.logits.dtype) if self.uses_progress else 1.0

    def compare(self, own, deep):
        """Mean over images and positions of (Ψ(own) - Ψ(deep))². -> []."""
        own, deep = as_matching_maps(own, deep.detach() if self.detach else deep)
        return (self.attend(own, own.shape[2:]) - self.attend(deep, own.shape[2:])).square().mean()

    def attend(self, features, size):
        """Ψ, the share of attention that each position of a map of this size gets. [B, D, H, W] -> [B, P]."""
        if self.form == "lib":
            strength = resize(features, size).square().mean(dim=1, keepdim=True)
        else:
            strength = resize(features.square().sum(dim=1, keepdim=True), size)
        return strength.flatten(1).softmax(dim=1)


@method_constructor
def sad(
    weight: NotNegative = 10.0,
    form: Literal["paper", "lib"] = "paper",
    start: NotNegative = 0.0,
    detach: bool = True,
) -> Method:
    """Each stage attends where the next deeper one does; for `form="lib"` take a weight of 1000."""
    return Method({"next_attention": NextAttention(form, start, detach, weight)})
