"""Knowledge Distillation by On-the-Fly Native Ensemble (https://arxiv.org/abs/1806.04606)."""

import torch
from torch import nn

from selfdistill.functional import channels, global_average_pool, kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, method_constructor
from selfdistill.terms import BuildContext, StepContext
from selfdistill.terms.branches import Branching


class NativeEnsemble(Branching):
    """Branches from one trunk, mixed by a gate into an ensemble that teaches each of them."""

    min_batch_size = 2  # the gate's batch norm

    def __init__(self, tap: str, branches: int, temperature: float, ramp: float, epsilon: float):
        super().__init__(tap, branches - 1, temperature, ramp)
        self.epsilon = epsilon

    def build(self, context: BuildContext):
        """Make the other branches, and the gate on the trunk's pooled feature."""
        self.branches = self.grow(context)
        trunk, count = channels(context.shapes[self.taps[0]]), self.count + 1
        self.gate = nn.Sequential(nn.Linear(trunk, count), nn.BatchNorm1d(count), nn.ReLU(), nn.Softmax(dim=1))

    def both(self, context: StepContext):
        """CE of the other branches and the ensemble; sum of T² KL(sg ensemble || branch)."""
        trunk = context.features[self.taps[0]]
        logits = [context.logits, *(branch(trunk).logits for branch in self.branches)]
        ensemble = self.ensemble(global_average_pool(trunk), logits)
        learn = context.learn(ensemble) + sum(context.learn(each) for each in logits[1:])
        target = softmax_with_temperature(ensemble.detach(), self.temperature) + self.epsilon
        return learn, sum(kl_to_probabilities(each, target, self.temperature) for each in logits)

    def ensemble(self, pooled, logits: list):
        """Mix the branches' logits by the gate. [B, D], [B, C] each -> [B, C]."""
        return torch.einsum("bm,mbc->bc", self.gate(pooled), torch.stack(logits))


@method_constructor
def one(
    tap: str = "stage-2",
    branches: Several = 3,
    temperature: Positive = 3.0,
    ramp: NotNegative = 0.0,
    epsilon: NotNegative = 0.0,
) -> Method:
    """Copies of what follows a tap, gated into an ensemble that teaches each branch; the student is one of them."""
    return Method({"ensemble": NativeEnsemble(tap, branches, temperature, ramp, epsilon)})
