"""Self-distillation with batch knowledge ensembling (https://arxiv.org/abs/2104.13298)."""

import torch
from torch import Tensor

from selfdistill.data.requirements import ClassGroups
from selfdistill.functional import cosine_similarity, kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import Count, NonNegative, Part, Positive, method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext


class BatchEnsemble(LossTerm):
    """KL to soft targets that propagate predictions between similar images of a batch."""

    requires = ("embedding",)
    min_batch_size = 2
    reduction = "batch"
    supports_tags = False  # predictions are of tags, embeddings of examples

    def __init__(self, omega: float, temperature: float, weight: float):
        super().__init__()
        self.omega, self.temperature, self.weight = omega, temperature, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL(sg Q || z)."""
        own = softmax_with_temperature(context.logits.detach(), self.temperature)
        target = propagate(own, affinity(context.embedding), self.omega)
        return kl_to_probabilities(context.logits, target, self.temperature)


def affinity(rows: Tensor) -> Tensor:
    """Compute each row's softmax over its cosines with the other rows. [B, D] -> [B, B]."""
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    return cosine_similarity(rows.detach()).masked_fill(itself, -torch.inf).softmax(dim=1)


def propagate(own: Tensor, shares: Tensor, omega: float) -> Tensor:
    """Compute (1 - omega) (I - omega A)^-1 p, the limit of propagation. [B, C], [B, B] -> [B, C] probabilities."""
    identity = torch.eye(len(own), dtype=own.dtype, device=own.device)
    solved: Tensor = torch.linalg.solve(identity - omega * shares, own)
    return (1 - omega) * solved


@method_constructor
def bake(weight: NonNegative = 1.0, temperature: Positive = 4.0, omega: Part = 0.5, others: Count = 3) -> Method:
    """Soft targets from similar images of the batch (Ge et al., 2021, arXiv:2104.13298).

    Batches hold `others` more images of the class of each sampled one.

    >>> from selfdistill.methods import bake
    >>> print(bake(others=7).needs)
    {'order': ClassGroups(others=7)}
    """
    return Method({"ensemble": BatchEnsemble(omega, temperature, weight)}, needs={"order": ClassGroups(others)})
