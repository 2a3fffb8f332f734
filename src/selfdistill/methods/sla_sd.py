"""Self-supervised label augmentation with self-distillation (https://arxiv.org/abs/1910.05872)."""

import torch

from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.methods.sla import Augmented
from selfdistill.terms import StepContext
from selfdistill.terms.transforms import Transform


class Aggregated(Augmented):
    """What the joint head says of all transformations together is the target of the student's own classifier."""

    def __init__(self, transform: str, weight: float, temperature: float):
        super().__init__(transform)
        self.kl_weight, self.temperature = weight, temperature

    def loss(self, context: StepContext):
        """CE of the joint head; T² KL(sg aggregated || z)."""
        joined = self.joined(context)
        mimic = self.kl_weight * kl_divergence(context.logits, self.aggregated(joined), self.temperature)
        return {"learn": self.told_apart(joined, context.batch), "mimic": mimic}

    def aggregated(self, joined):
        """Mean over transformations of each one's own logits. M of [B, C · M] -> [B, C]."""
        own = [logits[:, j :: self.count] for j, logits in enumerate(joined)]
        return torch.stack(own).mean(dim=0)


@method_constructor
def sla_sd(transform: Transform = "rotation", weight: NotNegative = 1.0, temperature: Positive = 1.0) -> Method:
    """The student's classifier learns from labels, and from a joint head that saw every rotation."""
    return Method({"aggregated": Aggregated(transform, weight, temperature)})
