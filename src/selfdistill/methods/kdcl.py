"""Online Knowledge Distillation via Collaborative Learning (CVPR 2020)."""

from typing import Literal

import torch

from selfdistill.data.requirements import ExtraAugmentation
from selfdistill.functional import ensembles, kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.method.networks import PeerNetwork
from selfdistill.terms import ForwardPass, LossTerm, StepContext

TARGETS = {
    "naive": ensembles.naive,
    "linear": ensembles.linear,
    "minlogit": ensembles.minlogit,
    "mean": ensembles.mean,
}


class Collaboration(LossTerm):
    """Two networks, each with a view of its own, learn the labels and a target made of both."""

    uses_labels = True
    views = (ForwardPass("peer1_twin", grad=True, network="peer1", source="twin"),)

    def __init__(self, target: str, weight: float, temperature: float):
        super().__init__()
        self.target, self.shared, self.temperature = target, weight, temperature

    def loss(self, context: StepContext):
        """CE of the peer; weight · sum over networks of T² KL(sg z* || z_i)."""
        peer = context.views["peer1_twin"].logits
        mimic = self.imitation([context.logits, peer], context.batch.labels)
        return {"learn": context.learn(peer), "mimic": self.shared * mimic}

    def imitation(self, logits: list, labels):
        """What all networks owe to the common target. [B, C] each, [B] -> []."""
        target = TARGETS[self.target](torch.stack(logits).detach(), labels)
        return sum(kl_divergence(each, target, self.temperature) for each in logits)


@method_constructor
def kdcl(
    peer: str | None = None,
    target: Literal["minlogit", "naive", "linear", "mean"] = "minlogit",
    weight: NotNegative = 1.0,
    temperature: Positive = 2.0,
) -> Method:
    """Two networks with a view each learn from a target that is made of both."""
    term = Collaboration(target, weight, temperature)
    return Method({"collaboration": term}, networks={"peer1": PeerNetwork(peer)}, needs={"twin": ExtraAugmentation()})
