"""Self Attention Distillation (https://arxiv.org/abs/1908.00821)."""

from typing import Literal

import torch
from torch import Tensor

from selfdistill.functional import as_matching_maps, present_share, resized_attention
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import stage_pairs


class NextStageAttention(LossTerm):
    """Each stage's attention map matches the next deeper one's."""

    taps = ("stages",)
    needs_spatial = compares_norms = True  # in a 1x1 map all attention is alike

    def __init__(self, form: str, start: float, detach: bool, weight: float):
        super().__init__()
        self.form, self.ramp_epochs, self.uses_progress = form, start, start > 0
        self.detach, self.weight = detach, weight

    def build(self, context: BuildContext) -> None:
        """Pair each stage with the next."""
        self.matched = stage_pairs(context.shapes, "sad()", spatial=True)

    def loss(self, context: StepContext) -> LossValue:
        """Sum over stages the mean squared difference of attention; zero before epoch `start`."""
        gaps = [self.compare(context.features[own], context.features[deep]) for own, deep in self.matched]
        return self.share(context) * torch.stack(gaps).sum()

    def share(self, context: StepContext) -> Tensor | float:
        """Return 1 from epoch `start` on, else 0."""
        return (context.progress.epoch >= self.ramp_epochs).to(context.logits.dtype) if self.uses_progress else 1.0

    def compare(self, own: Tensor, deep: Tensor) -> Tensor:
        """Compute the mean over images and positions, or tokens present, of (Ψ(own) - Ψ(deep))². -> []."""
        maps = as_matching_maps(own, deep.detach() if self.detach else deep)
        size, before, padded = maps[0].shape[2:], self.form == "lib", own.dim() == deep.dim() == 3
        one, other = (resized_attention(each, size, before, padded) for each in maps)
        return ((one - other).square() / present_share(own)).mean()


@method_constructor
def sad(
    weight: NonNegative = 1.0,
    form: Literal["paper", "lib"] = "paper",
    start: NonNegative = 0.0,
    detach: bool = True,
) -> Method:
    """Each stage attends where the next deeper one does (Hou et al., 2019); `form="lib"` fits a weight of 1000.

    >>> from selfdistill.methods import sad
    >>> print(sad(weight=1000.0, form="lib").text)
    sad(weight=1000.0, form='lib')
    """
    return Method({"next_attention": NextStageAttention(form, start, detach, weight)})
