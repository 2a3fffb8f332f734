"""Self-distillation with batch knowledge ensembling (https://arxiv.org/abs/2104.13298)."""

import torch

from selfdistill.data.requirements import ClassGroups
from selfdistill.functional import kl_to_probabilities, similarity, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import Count, NotNegative, Part, Positive, method_constructor
from selfdistill.terms import LossTerm, StepContext


class Ensemble(LossTerm):
    """What the student says of the images of a batch, passed on between those that look alike, is the target."""

    requires = ("embedding",)
    min_batch_size = 2
    reduction = "batch"

    def __init__(self, omega: float, temperature: float, weight: float):
        super().__init__()
        self.omega, self.temperature, self.weight = omega, temperature, weight

    def loss(self, context: StepContext):
        """T² KL(sg Q || z)."""
        own = softmax_with_temperature(context.logits.detach(), self.temperature)
        target = passed_on(own, affinity(context.embedding), self.omega)
        return kl_to_probabilities(context.logits, target, self.temperature)


def affinity(rows):
    """Give each row's shares of the others by the softmax of its cosines with them. [B, D] -> [B, B]."""
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    return similarity(rows.detach()).masked_fill(itself, -torch.inf).softmax(dim=1)


def passed_on(own, shares, omega):
    """(1 - omega) (I - omega A)^-1 p: predictions passed on for ever. [B, C], [B, B] -> [B, C] probabilities."""
    identity = torch.eye(len(own), dtype=own.dtype, device=own.device)
    return (1 - omega) * torch.linalg.solve(identity - omega * shares, own)


@method_constructor
def bake(weight: NotNegative = 1.0, temperature: Positive = 4.0, omega: Part = 0.5, others: Count = 3) -> Method:
    """Soft targets from the batch itself, in which each row is followed by `others` more of its class."""
    return Method({"ensemble": Ensemble(omega, temperature, weight)}, needs={"order": ClassGroups(others)})
