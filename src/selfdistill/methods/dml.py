"""Deep Mutual Learning (https://arxiv.org/abs/1706.00384)."""

from itertools import permutations

from torch import Tensor

from selfdistill.functional import kl_divergence, kl_through_teacher, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Peers, Positive, method_constructor
from selfdistill.method.networks import PeerNetwork
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext

RAISED = 1e-7  # added to targets with a gradient, which would be infinite where they vanish


class MutualLearning(LossTerm):
    """Peers that train together learn the labels and each other's predictions."""

    uses_labels = True

    def __init__(self, networks: int, temperature: float, weight: float, detach: bool):
        super().__init__()
        self.temperature, self.mutual, self.detach = temperature, weight, detach
        self.views = tuple(ForwardPass(f"peer{k}", grad=True, network=f"peer{k}") for k in range(1, networks))

    def loss(self, context: StepContext) -> LossValue:
        """Compute the peers' CE; 1/(m-1) · sum over ordered pairs of T² KL(z_k || z_j)."""
        peers = [context.views[view.name].logits for view in self.views]
        pairs = permutations([context.logits, *peers], 2)
        mimic = sum_tensors(self.imitate(*pair) for pair in pairs) / len(peers)
        return {"learn": sum_tensors(context.cross_entropy(each) for each in peers), "mimic": self.mutual * mimic}

    def imitate(self, logits: Tensor, peer: Tensor) -> Tensor:
        """Compute T² KL(peer || logits), with or without a gradient for the peer. [B, C], [B, C] -> []."""
        if self.detach:
            return kl_divergence(logits, peer, self.temperature)
        return kl_through_teacher(logits, peer, self.temperature, RAISED)


@method_constructor
def dml(
    peer: str | None = None,
    networks: Peers = 2,
    temperature: Positive = 1.0,
    weight: NonNegative = 1.0,
    detach: bool = True,
) -> Method:
    """The student and its peers, from seeds of their own, train together (Zhang et al., 2018, arXiv:1706.00384).

    >>> from selfdistill.methods import dml
    >>> print(sorted(dml(networks=3).networks))
    ['peer1', 'peer2']
    """
    term = MutualLearning(networks, temperature, weight, detach)
    return Method({"mutual": term}, networks={f"peer{k}": PeerNetwork(peer) for k in range(1, networks)})
