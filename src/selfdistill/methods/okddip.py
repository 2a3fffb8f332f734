"""Online Knowledge Distillation with Diverse Peers (https://arxiv.org/abs/1912.00350)."""

import torch
from torch import nn

from selfdistill.functional import kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, method_constructor
from selfdistill.terms import BuildContext, StepContext
from selfdistill.terms.branches import Branching


class DiversePeers(Branching):
    """Each peer branch learns from a mixture of its own choice; the leader, the student, from their mean."""

    requires = ("embedding",)

    def __init__(self, tap: str, peers: int, alpha: float, temperature: float, ramp: float, epsilon: float):
        super().__init__(tap, peers, temperature, ramp)
        self.share, self.epsilon = alpha, epsilon

    def build(self, context: BuildContext):
        """Make the peers, and what they ask and answer each other with."""
        width = context.shapes["embedding"][-1]
        self.peers = self.grow(context)
        self.query, self.key = (nn.Linear(width, max(width // 8, 1), bias=False) for _ in range(2))

    def both(self, context: StepContext):
        """CE of the peers; T² KL of each peer's own mixture, and of the leader."""
        shown = [peer(context.features[self.taps[0]]) for peer in self.peers]
        logits, embeddings = (torch.stack(each, dim=1) for each in zip(*(each[:2] for each in shown), strict=True))
        learn = sum(context.learn(each) for each in logits.unbind(dim=1))
        mixtures = self.mixtures(logits, embeddings)
        pairs = zip(logits.unbind(dim=1), mixtures.unbind(dim=1), strict=True)
        mimic = sum(self.imitate(*pair) for pair in pairs) + self.imitate(context.logits, logits.mean(dim=1))
        return learn, mimic

    def mixtures(self, logits, embeddings):
        """What each peer is to learn: the others' logits as it attends to them. [B, m, C], [B, m, D] -> [B, m, C]."""
        attention = (self.query(embeddings) @ self.key(embeddings).transpose(1, 2)).softmax(dim=2)
        return attention @ logits

    def imitate(self, logits, target):
        """T² KL towards a target that has a gradient: attention is learnt by nothing else. -> []."""
        # the epsilon keeps the gradient of a vanishing target finite
        return kl_to_probabilities(
            logits, softmax_with_temperature(target, self.temperature) + self.epsilon, self.temperature
        )


@method_constructor
def okddip(
    tap: str = "stage-2",
    peers: Several = 3,
    alpha: NotNegative = 1.0,
    temperature: Positive = 3.0,
    ramp: NotNegative = 80.0,
    epsilon: Positive = 1e-7,
) -> Method:
    """Peer branches that teach each other by attention, and together the student."""
    return Method({"peers": DiversePeers(tap, peers, alpha, temperature, ramp, epsilon)})
