"""Similarity and Consistency by self-Distillation (https://doi.org/10.11896/jsjkx.221000009)."""

import torch

from selfdistill.functional import attention, similarity
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Power, method_constructor
from selfdistill.terms import LossTerm, StepContext
from selfdistill.terms.pairs import Pairing, within


class SimilarAttention(LossTerm):
    """Two images whose attention is alike deep in the network should attend alike in its shallow stages."""

    taps = ("stages",)
    needs_spatial = True  # in a 1x1 map all images attend alike
    min_batch_size = 2
    reduction = "batch"

    def __init__(self, power: float, pairs: Pairing, centered: bool, normalised: bool, warmup: float, weight: float):
        super().__init__()
        self.power, self.pairs, self.centered, self.normalised = power, pairs, centered, normalised
        self.warmup, self.uses_progress, self.weight = warmup, warmup > 0, weight

    def build(self, context):
        """Pair the stages: each with the next, or each with the last."""
        self.matched = within(context.shapes, "scd()", self.pairs, maps=True)

    def loss(self, context: StepContext):
        """Sum over pairs of the mean squared difference of their B x B similarities."""
        matrices = {name: self.matrix(context.features[name]) for pair in self.matched for name in pair}
        gaps = [(matrices[shallow] - matrices[deep].detach()).square().mean() for shallow, deep in self.matched]
        return context.progress.ramp(self.warmup) * torch.stack(gaps).sum()

    def matrix(self, features):
        """How alike the images of a batch are in where they attend. -> [B, B]."""
        maps = attention(features, self.power)
        if self.centered:
            maps = maps - maps.mean(dim=1, keepdim=True)
        alike = similarity(maps)
        return alike / alike.norm(dim=1, keepdim=True).clamp_min(1e-8) if self.normalised else alike


@method_constructor
def scd(
    weight: NotNegative = 100.0,
    power: Power = 2.0,
    pairs: Pairing = "adjacent",
    centered: bool = False,
    normalised: bool = False,
    warmup: NotNegative = 0.0,
) -> Method:
    """Shallow stages imitate how alike the images' attention is in deeper ones.

    With `normalised`, rows of the similarity get unit length as in SP; then a weight of about 3000 fits.
    """
    term = SimilarAttention(power, pairs, centered, normalised, warmup, weight)
    return Method({"similarity": term})
