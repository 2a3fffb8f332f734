"""Deeply-supervised Knowledge Synergy (https://arxiv.org/abs/1906.00675)."""

from itertools import permutations

from torch import nn

from selfdistill.functional import kl
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, recipe
from selfdistill.terms import Parts, Seen, Term
from selfdistill.terms.pairs import stages


class Synergy(Term):
    """Branches from inner stages and the final classifier all teach each other."""

    taps = ("stages",)
    learns = True

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.synergy = temperature, weight

    def build(self, parts: Parts):
        """Grow a branch from each of the two stages before the last."""
        self.matched = stages(parts.shapes)[-3:-1]
        self.branches = nn.ModuleList(parts.tail(tap) for tap in self.matched)

    def loss(self, seen: Seen):
        """Sum of the branches' CE; sum over ordered pairs of T² KL(sg z_l || z_j)."""
        pairs = zip(self.matched, self.branches, strict=True)
        return self.parts_of(seen, [branch(seen.features[tap]).logits for tap, branch in pairs])

    def parts_of(self, seen: Seen, branches: list):
        """The two parts, of the branches' logits [B, C]."""
        learn = sum(seen.learn(each) for each in branches)
        mimic = sum(kl(one, other, self.temperature) for one, other in permutations([seen.logits, *branches], 2))
        return {"learn": learn, "mimic": self.synergy * mimic}


@recipe
def dks(temperature: Positive = 1.0, weight: NotNegative = 1.0) -> Method:
    """Two branches from inner stages learn the labels, and from one another and the final classifier."""
    return Method({"synergy": Synergy(temperature, weight)})
