"""Deep Mutual Learning (https://arxiv.org/abs/1706.00384)."""

from itertools import permutations

from selfdistill.functional import kl_divergence, kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, method_constructor
from selfdistill.method.networks import PeerNetwork
from selfdistill.terms import ForwardPass, LossTerm, StepContext

RAISED = 1e-7  # added to targets that have a gradient, which would be infinite where they vanish


class MutualLearning(LossTerm):
    """Networks that train together learn the labels, and each other's predictions."""

    uses_labels = True

    def __init__(self, networks: int, temperature: float, weight: float, detach: bool):
        super().__init__()
        self.temperature, self.mutual, self.detach = temperature, weight, detach
        self.views = tuple(ForwardPass(f"peer{k}", grad=True, network=f"peer{k}") for k in range(1, networks))

    def loss(self, context: StepContext):
        """CE of the peers; 1/(m-1) · sum over ordered pairs of T² KL(z_k || z_j)."""
        peers = [context.views[view.name].logits for view in self.views]
        pairs = permutations([context.logits, *peers], 2)
        mimic = sum(self.imitate(*pair) for pair in pairs) / len(peers)
        return {"learn": sum(context.learn(each) for each in peers), "mimic": self.mutual * mimic}

    def imitate(self, logits, peer):
        """T² KL(peer || logits), with or without a gradient for the peer. -> []."""
        if self.detach:
            return kl_divergence(logits, peer, self.temperature)
        return kl_to_probabilities(logits, softmax_with_temperature(peer, self.temperature) + RAISED, self.temperature)


@method_constructor
def dml(
    peer: str | None = None,
    networks: Several = 2,
    temperature: Positive = 1.0,
    weight: NotNegative = 1.0,
    detach: bool = True,
) -> Method:
    """Networks drawn from seeds of their own train together; the student is one of them."""
    term = MutualLearning(networks, temperature, weight, detach)
    return Method({"mutual": term}, networks={f"peer{k}": PeerNetwork(peer) for k in range(1, networks)})
