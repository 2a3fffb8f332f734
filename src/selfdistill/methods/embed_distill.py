"""EmbedDistill: A Geometric Knowledge Distillation for Information Retrieval (https://arxiv.org/abs/2301.12005)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import l2_norm, l2_normalize_finite
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext
from selfdistill.terms.pairs import EmbeddingPairs


class EmbeddingMatch(EmbeddingPairs):
    """A linear map of the embedding is near to the teacher's."""

    min_batch_size, reduction = 1, "mean"

    def __init__(self, distance: str, weight: float):
        super().__init__()
        self.distance, self.weight = distance, weight

    def build(self, context: BuildContext) -> None:
        """Make the map between the two widths."""
        self.project = nn.Linear(context.shapes["embedding"][-1], context.views["teacher"]["embedding"][-1])

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean over rows of the L2 distance, of 1 - cosine, or of the mean squared error."""
        own, target = self.project(student), teacher.detach()
        if self.distance == "mse":
            return F.mse_loss(own, target)
        if self.distance == "cosine":
            return (1 - (l2_normalize_finite(own) * l2_normalize_finite(target)).sum(dim=1)).mean()
        return l2_norm(own - target).mean()


@method_constructor
def embed_distill(
    teacher: str | None = None, weight: NonNegative = 1.0, distance: Literal["l2", "cosine", "mse"] = "l2"
) -> Method:
    """A teacher's embedding, matched by a linear map of the student's (Kim et al., 2023, arXiv:2301.12005).

    >>> from selfdistill.methods import embed_distill
    >>> print(embed_distill(distance="cosine").text)
    embed_distill(distance='cosine')
    """
    return Method({"embedding": EmbeddingMatch(distance, weight)}, networks={"teacher": teacher_role(teacher)})
