"""Online Knowledge Distillation with Diverse Peers (https://arxiv.org/abs/1912.00350)."""

import torch
from torch import Tensor, nn

from selfdistill.functional import kl_through_teacher, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import Constant, NonNegative, Peers, Positive, method_constructor
from selfdistill.terms import BuildContext, StepContext
from selfdistill.terms.branches import BranchTerm


class DiversePeers(BranchTerm):
    """Each peer branch learns from an attention-weighted mixture of peers; the student from their mean."""

    requires = ("embedding",)

    def __init__(self, tap: str, peers: int, alpha: float, temperature: float, ramp: float, epsilon: float):
        super().__init__(tap, peers, temperature, ramp)
        self.share, self.epsilon = alpha, epsilon

    def build(self, context: BuildContext) -> None:
        """Make the peers, and their query and key projections."""
        width = context.shapes["embedding"][-1]
        self.peers = self.make_branches(context)
        self.query, self.key = (nn.Linear(width, max(width // 8, 1), bias=False) for _ in range(2))

    def parts(self, context: StepContext) -> tuple[Tensor, Tensor]:
        """Compute the peers' CE; T² KL of each peer from its mixture, and of the student."""
        peers = [peer(context.anchor) for peer in self.peers]
        embeddings = torch.stack([each.embedding for each in peers], dim=1)
        logits = torch.stack([context.rows.logits(each.logits) for each in peers], dim=1)
        learn = sum_tensors(context.cross_entropy(each) for each in logits.unbind(dim=1))
        attention = (self.query(embeddings) @ self.key(embeddings).transpose(1, 2)).softmax(dim=2)  # [B, m, m]
        mixtures = attention.repeat_interleave(len(logits) // len(attention), dim=0) @ logits
        pairs = zip(logits.unbind(dim=1), mixtures.unbind(dim=1), strict=True)
        mimic = sum_tensors(self.imitate(*pair) for pair in pairs) + self.imitate(context.logits, logits.mean(dim=1))
        return learn, mimic

    def imitate(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute T² KL to a target with a gradient, which trains the attention. [B, C], [B, C] -> []."""
        return kl_through_teacher(logits, target, self.temperature, self.epsilon)


@method_constructor
def okddip(
    tap: str = "stage-2",
    peers: Peers = 3,
    alpha: NonNegative = 1.0,
    temperature: Positive = 3.0,
    ramp: NonNegative = 80.0,
    epsilon: Constant = 1e-7,
) -> Method:
    """Peer branches that teach each other by attention, and the student by their mean (Chen et al., 2020).

    >>> from selfdistill.methods import okddip
    >>> print(okddip(peers=4).text)
    okddip(peers=4)
    """
    return Method({"peers": DiversePeers(tap, peers, alpha, temperature, ramp, epsilon)})
