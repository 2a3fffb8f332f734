"""Deeply-supervised Knowledge Synergy (https://arxiv.org/abs/1906.00675)."""

from itertools import permutations

from torch import nn

from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, StepContext
from selfdistill.terms.pairs import stages


class Synergy(LossTerm):
    """Branches from inner stages and the final classifier all teach each other."""

    taps = ("stages",)
    uses_labels = True

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.synergy = temperature, weight

    def build(self, context: BuildContext):
        """Grow a branch from each of the two stages before the last."""
        self.matched = stages(context.shapes)[-3:-1]
        self.branches = nn.ModuleList(context.tail(tap) for tap in self.matched)

    def loss(self, context: StepContext):
        """Sum of the branches' CE; sum over ordered pairs of T² KL(sg z_l || z_j)."""
        pairs = zip(self.matched, self.branches, strict=True)
        return self.parts_of(context, [branch(context.features[tap]).logits for tap, branch in pairs])

    def parts_of(self, context: StepContext, branches: list):
        """The two parts, of the branches' logits [B, C]."""
        learn = sum(context.learn(each) for each in branches)
        mimic = sum(
            kl_divergence(one, other, self.temperature) for one, other in permutations([context.logits, *branches], 2)
        )
        return {"learn": learn, "mimic": self.synergy * mimic}


@method_constructor
def dks(temperature: Positive = 1.0, weight: NotNegative = 1.0) -> Method:
    """Two branches from inner stages learn the labels, and from one another and the final classifier."""
    return Method({"synergy": Synergy(temperature, weight)})
