"""Deeply-supervised Knowledge Synergy (https://arxiv.org/abs/1906.00675)."""

from itertools import permutations

from torch import Tensor, nn

from selfdistill.functional import kl_divergence, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import stage_names


class KnowledgeSynergy(LossTerm):
    """Branches from inner stages and the final classifier all teach each other."""

    taps = ("stages",)
    min_stages = 2
    uses_labels = True

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.synergy = temperature, weight

    def build(self, context: BuildContext) -> None:
        """Make a branch from each of the two stages before the last."""
        self.branches = nn.ModuleList(context.branch(tap) for tap in stage_names(context.shapes)[-3:-1])

    def loss(self, context: StepContext) -> LossValue:
        """Sum the branches' CE; sum over ordered pairs T² KL(sg z_l || z_j)."""
        return self.parts(context, [context.rows.logits(branch(context.anchor).logits) for branch in self.branches])

    def parts(self, context: StepContext, branches: list[Tensor]) -> LossValue:
        """Compute both parts from the branches' logits, [B, C] each."""
        learn = sum_tensors(context.cross_entropy(each) for each in branches)
        pairs = permutations([context.logits, *branches], 2)
        mimic = sum_tensors(kl_divergence(one, other, self.temperature) for one, other in pairs)
        return {"learn": learn, "mimic": self.synergy * mimic}


@method_constructor
def dks(temperature: Positive = 1.0, weight: NonNegative = 1.0) -> Method:
    """Two inner branches and the final classifier that all teach each other (Sun et al., 2019, arXiv:1906.00675).

    >>> from selfdistill.methods import dks
    >>> print(dks(temperature=3.0).text)
    dks(temperature=3.0)
    """
    return Method({"synergy": KnowledgeSynergy(temperature, weight)})
