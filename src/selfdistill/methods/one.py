"""Knowledge Distillation by On-the-Fly Native Ensemble (https://arxiv.org/abs/1806.04606)."""

import torch
from torch import Tensor, nn

from selfdistill.functional import channels, global_average_pool, kl_through_teacher, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Peers, Positive, method_constructor
from selfdistill.terms import BuildContext, StepContext
from selfdistill.terms.branches import BranchTerm


class NativeEnsemble(BranchTerm):
    """Branches from one trunk, mixed by a gate into an ensemble that teaches each of them."""

    min_batch_size = 2  # the gate's batch norm

    def __init__(self, tap: str, branches: int, temperature: float, ramp: float, epsilon: float):
        super().__init__(tap, branches - 1, temperature, ramp)
        self.epsilon = epsilon

    def build(self, context: BuildContext) -> None:
        """Make the other branches, and the gate on the trunk's pooled feature."""
        self.branches = self.make_branches(context)
        trunk, count = channels(context.shapes[self.taps[0]]), self.count + 1
        self.gate = nn.Sequential(nn.Linear(trunk, count), nn.BatchNorm1d(count), nn.ReLU(), nn.Softmax(dim=1))

    def parts(self, context: StepContext) -> tuple[Tensor, Tensor]:
        """Compute CE of the other branches and the ensemble; sum T² KL(sg ensemble || branch)."""
        branches = [context.rows.logits(branch(context.anchor).logits) for branch in self.branches]
        logits, pooled = [context.logits, *branches], global_average_pool(context.features[self.taps[0]])
        ensemble = self.ensemble(pooled, logits)
        learn = context.cross_entropy(ensemble) + sum_tensors(context.cross_entropy(each) for each in logits[1:])
        teacher, options = ensemble.detach(), (self.temperature, self.epsilon)
        return learn, sum_tensors(kl_through_teacher(each, teacher, *options) for each in logits)

    def ensemble(self, pooled: Tensor, logits: list[Tensor]) -> Tensor:
        """Mix the branches' logits by the gate of each example. [B, D], [R, C] each -> [R, C]."""
        stacked = torch.stack(logits)
        gates = self.gate(pooled).repeat_interleave(stacked.shape[1] // len(pooled), dim=0)
        return torch.einsum("bm,mbc->bc", gates, stacked)


@method_constructor
def one(
    tap: str = "stage-2",
    branches: Peers = 3,
    temperature: Positive = 3.0,
    ramp: NonNegative = 0.0,
    epsilon: NonNegative = 0.0,
) -> Method:
    """A gated ensemble of branches that teaches each branch, the student among them (Lan et al., 2018).

    >>> from selfdistill.methods import one
    >>> print(one(branches=4).text)
    one(branches=4)
    """
    return Method({"ensemble": NativeEnsemble(tap, branches, temperature, ramp, epsilon)})
