"""Large scale distributed training through online distillation (https://arxiv.org/abs/1804.03235)."""

from typing import Literal

import torch.nn.functional as F

from selfdistill.functional import kl
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Several, Share, recipe
from selfdistill.method.networks import Past, Peer
from selfdistill.terms import Seen, Term, View


class Codistillation(Term):
    """Two networks learn the labels, and what the other predicted some steps ago."""

    learns = True
    views = (
        View("peer1", grad=True, network="peer1"),
        View("stale_peer", grad=False, network="stale_peer"),
        View("stale_student", grad=False, network="stale_student"),
    )

    def __init__(self, burn_in: float, weight: float, divergence: str):
        super().__init__()
        self.burn_in, self.other, self.divergence, self.timed = burn_in, weight, divergence, burn_in > 0

    def loss(self, seen: Seen):
        """CE of the peer; after the burn-in the cross-entropy with the other's stale predictions, both ways."""
        peer, stale_peer, stale_student = (seen.views[view.name].logits for view in self.views)
        mimic = self.imitate(seen.logits, stale_peer) + self.imitate(peer, stale_student)
        on = (seen.clock.progress >= self.burn_in).to(mimic.dtype)
        return {"learn": seen.learn(peer), "mimic": self.other * on * mimic}

    def imitate(self, logits, stale):
        """The gap between predictions and stale ones. [B, C], [B, C] -> []."""
        if self.divergence == "reverse":  # KL(own || other), as a published artefact has it
            own, other = logits.log_softmax(dim=1), stale.detach().log_softmax(dim=1)
            return (own.exp() * (own - other)).sum(dim=1).mean()
        if self.divergence == "kl":
            return kl(logits, stale)
        return F.cross_entropy(logits, stale.detach().softmax(dim=1))


@recipe
def codistillation(
    peer: str | None = None,
    every: Several = 50,
    burn_in: Share = 0.4,
    weight: NotNegative = 1.0,
    divergence: Literal["ce", "kl", "reverse"] = "ce",
) -> Method:
    """Two networks train together, each towards a copy of the other that is renewed `every` so many steps."""
    stale = {"stale_peer": Past(every=every, of="peer1"), "stale_student": Past(every=every)}
    return Method(
        {"codistillation": Codistillation(burn_in, weight, divergence)}, networks={"peer1": Peer(peer), **stale}
    )
