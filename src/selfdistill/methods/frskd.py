"""Feature refinement via self-knowledge distillation (https://arxiv.org/abs/2103.08273)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional import attention, channels, kl_divergence
from selfdistill.heads import Pyramid
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import stage_names


class FeatureRefinement(LossTerm):
    """A feature pyramid over the stages learns the labels; its logits and attention maps teach the student."""

    taps = ("stages",)
    uses_labels = True

    def __init__(self, alpha: float, beta: float, temperature: float):
        super().__init__()
        self.alpha, self.beta, self.temperature = alpha, beta, temperature

    def build(self, context: BuildContext) -> None:
        """Put a pyramid over the stages."""
        self.stages = stage_names(context.shapes)
        if not stage_names(context.shapes, spatial=True):
            raise UserError("frskd() compares attention over positions, but no stage has any; use a model with maps")
        shapes = [context.shapes[name] for name in self.stages]
        self.pyramid = Pyramid([*map(channels, shapes)], context.classes, ndim=max(map(len, shapes)))

    def loss(self, context: StepContext) -> LossValue:
        """Compute the pyramid's CE; alpha T² KL(sg z_t || z) plus beta times the attention gaps of all stages."""
        features = [context.features[name] for name in self.stages]
        refined, pooled = self.pyramid(features, context.rows.pool)
        logits = context.rows.logits(pooled)
        pairs = zip(features, refined, strict=True)
        gaps = [(attention_map(one) - attention_map(other.detach())).square().mean() for one, other in pairs]
        soft = kl_divergence(context.logits, logits, self.temperature)
        mimic = self.alpha * soft + self.beta * torch.stack(gaps).sum()
        return {"learn": context.cross_entropy(logits), "mimic": mimic}


def attention_map(features: Tensor) -> Tensor:
    """Compute the attention map with L2 norm 1. [B, D, *sides], [B, N, D] or [B, D] -> [B, P]."""
    return F.normalize(attention(features), dim=1, eps=1e-12)


@method_constructor
def frskd(alpha: NonNegative = 2.0, beta: NonNegative = 100.0, temperature: Positive = 4.0) -> Method:
    """Self-distillation from a feature pyramid over the stages (Ji et al., 2021, arXiv:2103.08273).

    >>> from selfdistill.methods import frskd
    >>> print(frskd(beta=200.0).text)
    frskd(beta=200.0)
    """
    return Method({"refinement": FeatureRefinement(alpha, beta, temperature)})
