"""Feature refinement via self-knowledge distillation (https://arxiv.org/abs/2103.08273)."""

import torch
import torch.nn.functional as F

from selfdistill.functional import attention, channels, kl_divergence
from selfdistill.heads import Pyramid
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import LossTerm, StepContext
from selfdistill.terms.pairs import stages


class Refinement(LossTerm):
    """A pyramid over the stages learns the labels; its logits and where its maps are strong teach the student."""

    taps = ("stages",)
    uses_labels = True

    def __init__(self, alpha: float, beta: float, temperature: float):
        super().__init__()
        self.alpha, self.beta, self.temperature = alpha, beta, temperature

    def build(self, context):
        """Put a pyramid over the stages."""
        self.stages = stages(context.shapes)
        self.pyramid = Pyramid([channels(context.shapes[name]) for name in self.stages], context.classes)

    def loss(self, context: StepContext):
        """CE of the pyramid; alpha T² KL(sg z_t || z), and beta times the distance of each stage's attention."""
        features = [context.features[name] for name in self.stages]
        refined, logits = self.pyramid(features)
        gaps = [
            (focus(one) - focus(other.detach())).square().mean() for one, other in zip(features, refined, strict=True)
        ]
        mimic = (
            self.alpha * kl_divergence(context.logits, logits, self.temperature) + self.beta * torch.stack(gaps).sum()
        )
        return {"learn": context.learn(logits), "mimic": mimic}


def focus(features):
    """Where a stage is strong, as a vector of unit length. Maps or tokens -> [B, positions]."""
    return F.normalize(attention(features), dim=1, eps=1e-12)


@method_constructor
def frskd(alpha: NotNegative = 2.0, beta: NotNegative = 100.0, temperature: Positive = 4.0) -> Method:
    """A feature pyramid over the student's stages refines them, and teaches the student what comes out."""
    return Method({"refinement": Refinement(alpha, beta, temperature)})
