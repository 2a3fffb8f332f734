"""Deep Mutual Learning (https://arxiv.org/abs/1706.00384)."""

from itertools import permutations

from selfdistill.functional import kl, kl_to, softened
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, recipe
from selfdistill.method.networks import Peer
from selfdistill.terms import Seen, Term, View

RAISED = 1e-7  # added to targets that have a gradient, which would be infinite where they vanish


class MutualLearning(Term):
    """Networks that train together learn the labels, and each other's predictions."""

    learns = True

    def __init__(self, networks: int, temperature: float, weight: float, detach: bool):
        super().__init__()
        self.temperature, self.mutual, self.detach = temperature, weight, detach
        self.views = tuple(View(f"peer{k}", grad=True, network=f"peer{k}") for k in range(1, networks))

    def loss(self, seen: Seen):
        """CE of the peers; 1/(m-1) · sum over ordered pairs of T² KL(z_k || z_j)."""
        peers = [seen.views[view.name].logits for view in self.views]
        pairs = permutations([seen.logits, *peers], 2)
        mimic = sum(self.imitate(*pair) for pair in pairs) / len(peers)
        return {"learn": sum(seen.learn(each) for each in peers), "mimic": self.mutual * mimic}

    def imitate(self, logits, peer):
        """T² KL(peer || logits), with or without a gradient for the peer. -> []."""
        if self.detach:
            return kl(logits, peer, self.temperature)
        return kl_to(logits, softened(peer, self.temperature) + RAISED, self.temperature)


@recipe
def dml(
    peer: str | None = None,
    networks: Several = 2,
    temperature: Positive = 1.0,
    weight: NotNegative = 1.0,
    detach: bool = True,
) -> Method:
    """Networks drawn from seeds of their own train together; the student is one of them."""
    term = MutualLearning(networks, temperature, weight, detach)
    return Method({"mutual": term}, networks={f"peer{k}": Peer(peer) for k in range(1, networks)})
