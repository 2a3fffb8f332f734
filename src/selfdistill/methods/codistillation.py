"""Large scale distributed training through online distillation (https://arxiv.org/abs/1804.03235)."""

from typing import Literal

import torch.nn.functional as F

from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Several, Share, method_constructor
from selfdistill.method.networks import LaggedStudent, PeerNetwork
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class Codistillation(LossTerm):
    """Two networks learn the labels, and what the other predicted some steps ago."""

    uses_labels = True
    views = (
        ForwardPass("peer1", grad=True, network="peer1"),
        ForwardPass("stale_peer", grad=False, network="stale_peer"),
        ForwardPass("stale_student", grad=False, network="stale_student"),
    )

    def __init__(self, burn_in: float, weight: float, divergence: str):
        super().__init__()
        self.burn_in, self.other, self.divergence, self.uses_progress = burn_in, weight, divergence, burn_in > 0

    def loss(self, context: StepContext):
        """CE of the peer; after the burn-in the cross-entropy with the other's stale predictions, both ways."""
        peer, stale_peer, stale_student = (context.views[view.name].logits for view in self.views)
        mimic = self.imitate(context.logits, stale_peer) + self.imitate(peer, stale_student)
        on = (context.progress.fraction >= self.burn_in).to(mimic.dtype)
        return {"learn": context.learn(peer), "mimic": self.other * on * mimic}

    def imitate(self, logits, stale):
        """The gap between predictions and stale ones. [B, C], [B, C] -> []."""
        if self.divergence == "reverse":  # KL(own || other), as a published artefact has it
            own, other = logits.log_softmax(dim=1), stale.detach().log_softmax(dim=1)
            return (own.exp() * (own - other)).sum(dim=1).mean()
        if self.divergence == "kl":
            return kl_divergence(logits, stale)
        return F.cross_entropy(logits, stale.detach().softmax(dim=1))


@method_constructor
def codistillation(
    peer: str | None = None,
    every: Several = 50,
    burn_in: Share = 0.4,
    weight: NotNegative = 1.0,
    divergence: Literal["ce", "kl", "reverse"] = "ce",
) -> Method:
    """Two networks train together, each towards a copy of the other that is renewed `every` so many steps."""
    stale = {"stale_peer": LaggedStudent(every=every, of="peer1"), "stale_student": LaggedStudent(every=every)}
    return Method(
        {"codistillation": Codistillation(burn_in, weight, divergence)}, networks={"peer1": PeerNetwork(peer), **stale}
    )
