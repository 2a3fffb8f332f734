"""Online Knowledge Distillation via Collaborative Learning (CVPR 2020)."""

from typing import Literal

import torch
from torch import Tensor

from selfdistill.data.requirements import ExtraAugmentation
from selfdistill.functional import ensembles, kl_divergence, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.method.networks import PeerNetwork
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext

TARGETS = {
    "naive": ensembles.naive,
    "linear": ensembles.linear,
    "minlogit": ensembles.minlogit,
    "mean": ensembles.mean,
}


class CollaborativeLearning(LossTerm):
    """Two networks, each with its own augmentation, learn the labels and an ensemble of both."""

    uses_labels = needs_labels = True
    views = (ForwardPass("peer1_twin", grad=True, network="peer1", source="twin"),)

    def __init__(self, target: str, weight: float, temperature: float):
        super().__init__()
        self.target, self.shared, self.temperature = target, weight, temperature

    def loss(self, context: StepContext) -> LossValue:
        """Compute the peer's CE; weight · sum over networks of T² KL(sg z* || z_i)."""
        peer = context.views["peer1_twin"].logits
        mimic = self.imitation([context.logits, peer], context.batch.labels)
        return {"learn": context.cross_entropy(peer), "mimic": self.shared * mimic}

    def imitation(self, logits: list[Tensor], labels: Tensor) -> Tensor:
        """Sum T² KL of all networks to the common target. [B, C] each, [B] -> []."""
        target = TARGETS[self.target](torch.stack(logits).detach(), labels)
        return sum_tensors(kl_divergence(each, target, self.temperature) for each in logits)


@method_constructor
def kdcl(
    peer: str | None = None,
    target: Literal["minlogit", "naive", "linear", "mean"] = "minlogit",
    weight: NonNegative = 1.0,
    temperature: Positive = 2.0,
) -> Method:
    """Two networks with an augmentation each learn from an ensemble of both (Guo et al., CVPR 2020).

    >>> from selfdistill.methods import kdcl
    >>> print(kdcl(target="linear").text)
    kdcl(target='linear')
    """
    term, peers = CollaborativeLearning(target, weight, temperature), {"peer1": PeerNetwork(peer)}
    return Method({"collaboration": term}, networks=peers, needs={"twin": ExtraAugmentation()})
