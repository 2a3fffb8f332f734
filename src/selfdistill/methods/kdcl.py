"""Online Knowledge Distillation via Collaborative Learning (CVPR 2020)."""

from typing import Literal

import torch
import torch.nn.functional as F

from selfdistill.maths import kl
from selfdistill.method import Method
from selfdistill.needs import Twin
from selfdistill.recipe import NotNegative, Positive, recipe
from selfdistill.roles import Peer
from selfdistill.terms import Seen, Term, View

STEPS = 20  # of the search for the mixture on the simplex


class Collaboration(Term):
    """Two networks, each with a view of its own, learn the labels and a target made of both."""

    learns = True
    views = (View("peer1_twin", grad=True, network="peer1", source="twin"),)

    def __init__(self, target: str, weight: float, temperature: float):
        super().__init__()
        self.target, self.shared, self.temperature = target, weight, temperature

    def loss(self, seen: Seen):
        """CE of the peer; weight · sum over networks of T² KL(sg z* || z_i)."""
        peer = seen.views["peer1_twin"].logits
        return {
            "learn": seen.learn(peer),
            "mimic": self.shared * self.imitation([seen.logits, peer], seen.batch.labels),
        }

    def imitation(self, logits: list, labels):
        """What all networks owe to the common target. [B, C] each, [B] -> []."""
        target = TARGETS[self.target](torch.stack(logits).detach(), labels)
        return sum(kl(each, target, self.temperature) for each in logits)


def naive(logits, labels):
    """The logits of whichever network has the lowest cross-entropy, row by row. [m, B, C], [B] -> [B, C]."""
    losses = torch.stack([F.cross_entropy(each, labels, reduction="none") for each in logits])
    best = losses.argmin(dim=0)
    return logits[best, torch.arange(len(labels), device=labels.device)]


def minlogit(logits, labels):
    """The smallest of each logit less the true class's: the least that all agree on. [m, B, C], [B] -> [B, C]."""
    true = logits.gather(2, labels.expand(len(logits), -1)[:, :, None])
    return (logits - true).amin(dim=0)


def linear(logits, labels):
    """The mixture with the lowest cross-entropy, found by exponentiated gradient. [m, B, C], [B] -> [B, C]."""
    shares = torch.full((len(logits),), 1 / len(logits), device=logits.device, dtype=logits.dtype)
    onehot = F.one_hot(labels, logits.shape[2]).to(logits.dtype)
    for _ in range(STEPS):
        wrong = torch.einsum("m,mbc->bc", shares, logits).softmax(dim=1) - onehot
        slope = torch.einsum("bc,mbc->m", wrong, logits) / len(labels)
        shares = (shares.log() - slope).softmax(dim=0)
    return torch.einsum("m,mbc->bc", shares, logits)


def mean(logits, labels):
    """The plain mean. [m, B, C], [B] -> [B, C]."""
    return logits.mean(dim=0)


TARGETS = {"naive": naive, "linear": linear, "minlogit": minlogit, "mean": mean}


@recipe
def kdcl(
    peer: str | None = None,
    target: Literal["minlogit", "naive", "linear", "mean"] = "minlogit",
    weight: NotNegative = 1.0,
    temperature: Positive = 2.0,
) -> Method:
    """Two networks with a view each learn from a target that is made of both."""
    term = Collaboration(target, weight, temperature)
    return Method({"collaboration": term}, networks={"peer1": Peer(peer)}, needs={"twin": Twin()})
