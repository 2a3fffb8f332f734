"""Similarity and Consistency by self-Distillation (https://doi.org/10.11896/jsjkx.221000009)."""

import torch
from torch import Tensor

from selfdistill.functional import attention, center_attention, cosine_similarity
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Power, method_constructor, require_at_most
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import Pairing, stage_pairs


class AttentionSimilarity(LossTerm):
    """Similarities between images' attention maps in shallow stages match those in deep stages."""

    taps = ("stages",)
    needs_spatial = compares_norms = True  # in a 1x1 map all images attend alike
    min_batch_size = 2
    reduction = "batch"

    def __init__(self, power: float, pairs: Pairing, centered: bool, normalised: bool, warmup: float, weight: float):
        super().__init__()
        self.power, self.pairs, self.centered, self.normalised = power, pairs, centered, normalised
        self.ramp_epochs, self.uses_progress, self.weight = warmup, warmup > 0, weight

    def build(self, context: BuildContext) -> None:
        """Pair the stages: each with the next, or each with the last."""
        self.matched = stage_pairs(context.shapes, "scd()", self.pairs, spatial=True)

    def loss(self, context: StepContext) -> LossValue:
        """Sum over pairs the mean squared difference of their B x B similarities."""
        matrices = {name: self.matrix(context.features[name]) for pair in self.matched for name in pair}
        gaps = [(matrices[shallow] - matrices[deep].detach()).square().mean() for shallow, deep in self.matched]
        return context.progress.linear_ramp(self.ramp_epochs) * torch.stack(gaps).sum()

    def matrix(self, features: Tensor) -> Tensor:
        """Compute the similarities of the images' attention maps. [B, D, *sides] or [B, N, D] -> [B, B]."""
        maps = attention(features, self.power)
        alike = cosine_similarity(center_attention(maps, features) if self.centered else maps)
        return alike / alike.norm(dim=1, keepdim=True).clamp_min(1e-8) if self.normalised else alike


@method_constructor
def scd(
    weight: NonNegative = 3.0,
    power: Power = 2.0,
    pairs: Pairing = "adjacent",
    centered: bool = False,
    normalised: bool = False,
    warmup: NonNegative = 0.0,
) -> Method:
    """Shallow stages imitate the attention similarities of deeper ones (Wan et al., 2023); options bound the weight.

    >>> from selfdistill.methods import scd
    >>> print(scd(weight=300.0, normalised=True).text)
    scd(weight=300.0, normalised=True)
    """
    bounds = (normalised, "normalised=True", 300), (centered, "centered=True", 1), (pairs == "last", "pairs='last'", 2)
    require_at_most("scd", "weight", weight, next((each[1:] for each in bounds if each[0]), None))
    return Method({"similarity": AttentionSimilarity(power, pairs, centered, normalised, warmup, weight)})
