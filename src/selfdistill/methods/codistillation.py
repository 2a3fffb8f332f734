"""Large scale distributed training through online distillation (https://arxiv.org/abs/1804.03235)."""

from typing import Literal

from selfdistill.functional import kl_divergence, reverse_kl, soft_cross_entropy
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Plural, Share, method_constructor
from selfdistill.method.networks import LaggedStudent, PeerNetwork
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext

DIVERGENCES = {"ce": soft_cross_entropy, "kl": kl_divergence, "reverse": reverse_kl}  # reverse: published code


class Codistillation(LossTerm):
    """Two networks learn the labels and each other's stale predictions."""

    uses_labels = True
    views = (
        ForwardPass("peer1", grad=True, network="peer1"),
        ForwardPass("stale_peer", grad=False, network="stale_peer"),
        ForwardPass("stale_student", grad=False, network="stale_student"),
    )

    def __init__(self, burn_in: float, weight: float, divergence: str):
        super().__init__()
        self.burn_in, self.other, self.uses_progress = burn_in, weight, burn_in > 0
        self.divergence = DIVERGENCES[divergence]

    def loss(self, context: StepContext) -> LossValue:
        """Compute the peer's CE, and after the burn-in the divergence from stale predictions both ways."""
        peer, stale_peer, stale_student = (context.views[view.name].logits for view in self.views)
        mimic = self.divergence(context.logits, stale_peer) + self.divergence(peer, stale_student)
        on = (context.progress.fraction >= self.burn_in).to(mimic.dtype)
        return {"learn": context.cross_entropy(peer), "mimic": self.other * on * mimic}


@method_constructor
def codistillation(
    peer: str | None = None,
    every: Plural = 50,
    burn_in: Share = 0.4,
    weight: NonNegative = 1.0,
    divergence: Literal["ce", "kl", "reverse"] = "ce",
) -> Method:
    """Two networks, each trained towards a copy of the other, updated every `every` steps (arXiv:1804.03235).

    >>> from selfdistill.methods import codistillation
    >>> print(sorted(codistillation(every=100).networks))
    ['peer1', 'stale_peer', 'stale_student']
    """
    stale = {"stale_peer": LaggedStudent(every=every, of="peer1"), "stale_student": LaggedStudent(every=every)}
    term = Codistillation(burn_in, weight, divergence)
    return Method({"codistillation": term}, networks={"peer1": PeerNetwork(peer), **stale})
