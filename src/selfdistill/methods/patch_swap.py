"""Intra-class patch swap for self-distillation (https://arxiv.org/abs/2505.14124); experimental: constants are ours."""

from typing import Literal

import torch
from torch import Tensor

from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.requirements import SameClassImage
from selfdistill.functional import kl_divergence, masked_kl
from selfdistill.method import Method
from selfdistill.method.constructor import Count, NonNegative, Positive, Share, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class SwappedPairs(LossTerm):
    """Two images of a class with exchanged patches learn the label, and each other's predictions."""

    views = (ForwardPass("peer", grad=True, source="peer", joint=True),)
    uses_labels, supports_tags = True, False  # the partner has the same class

    def __init__(self, temperature: float, direction: str, weight: float):
        super().__init__()
        self.temperature, self.direction, self.mimic_weight = temperature, direction, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean CE of both images, and λ times the mean T² KL of both directions, or of the surer's."""
        one, other = context.logits, context.views["peer"].logits
        learn = (context.cross_entropy(one) + context.cross_entropy(other)) / 2
        return {"learn": learn, "mimic": self.mimic_weight * self.imitate(one, other, context.batch.labels)}

    def imitate(self, one: Tensor, other: Tensor, labels: Tensor) -> Tensor:
        """Compute T² KL both ways, or from the image with the larger label probability. [B, C], [B, C], [B] -> []."""
        if self.direction == "both":
            return (kl_divergence(one, other, self.temperature) + kl_divergence(other, one, self.temperature)) / 2
        sure, other_sure = (each.detach().softmax(dim=1).gather(1, labels[:, None])[:, 0] for each in (one, other))
        taught = other_sure > sure
        first = masked_kl(taught, one, other, self.temperature)
        second = masked_kl(~taught, other, one, self.temperature)
        return torch.lerp(second, first, taught.to(one.dtype).mean())  # each a mean over its own rows


@method_constructor
def patch_swap(
    weight: NonNegative = 1.0,
    temperature: Positive = 4.0,
    grid: Count = 4,
    share: Share = 0.5,
    direction: Literal["both", "surer"] = "both",
) -> Method:
    """Two images of a class exchange patches and teach each other (2025); experimental, without reference values.

    >>> from selfdistill.methods import patch_swap
    >>> print(patch_swap(grid=2).mixing)
    CellExchange(grid=2, share=0.5)
    """
    term, needs = SwappedPairs(temperature, direction, weight), {"peer": SameClassImage(itself=False)}
    return Method(task=term, mixing=CellExchange(grid, share), needs=needs)
