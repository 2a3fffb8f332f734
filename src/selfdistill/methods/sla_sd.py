"""Self-supervised label augmentation with self-distillation (https://arxiv.org/abs/1910.05872)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.methods.sla import AugmentedLabels
from selfdistill.terms import LossValue, StepContext
from selfdistill.terms.transforms import Transform, joint_label_loss


class AggregatedTarget(AugmentedLabels):
    """KL from the joint head's prediction, aggregated over transformations, to the student's classifier."""

    def __init__(self, transform: str, weight: float, temperature: float):
        super().__init__(transform)
        self.kl_weight, self.temperature = weight, temperature

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE of the joint head; T² KL(sg aggregated || z)."""
        joint = self.joint_logits(context)
        mimic = self.kl_weight * kl_divergence(context.logits, self.aggregated(joint), self.temperature)
        return {"learn": joint_label_loss(joint, context.batch), "mimic": mimic}

    def aggregated(self, joint: Sequence[Tensor]) -> Tensor:
        """Average the logits of the classes of each transformation. M of [B, C · M] -> [B, C]."""
        own = [logits[:, j :: self.count] for j, logits in enumerate(joint)]
        return torch.stack(own).mean(dim=0)


@method_constructor
def sla_sd(transform: Transform = "rotation", weight: NonNegative = 1.0, temperature: Positive = 1.0) -> Method:
    """Self-distillation from a joint classifier of labels and transformations (Lee et al., 2020, arXiv:1910.05872).

    >>> from selfdistill.methods import sla_sd
    >>> print(sla_sd(transform="half turn").text)
    sla_sd(transform='half turn')
    """
    return Method({"aggregated": AggregatedTarget(transform, weight, temperature)})
