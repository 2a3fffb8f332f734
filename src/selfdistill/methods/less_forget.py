"""Learning a Unified Classifier Incrementally via Rebalancing (https://doi.org/10.1109/CVPR.2019.00092)."""

from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional import l2_normalize_finite
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext
from selfdistill.terms.pairs import EmbeddingPairs


class LessForget(EmbeddingPairs):
    """Embeddings keep the direction that a reference network gives them."""

    min_batch_size, reduction = 1, "mean"

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def build(self, context: BuildContext) -> None:
        """Check that both embeddings have one width."""
        own, theirs = context.shapes["embedding"][-1], context.views["teacher"]["embedding"][-1]
        if own != theirs:
            raise UserError(
                f"less_forget() compares embeddings entry by entry, but the student's has {own} and the teacher's "
                f"{theirs}; take a teacher of the same width, or embed_distill(distance='cosine')"
            )

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean over rows of 1 - cosine."""
        return (1 - (l2_normalize_finite(student) * l2_normalize_finite(teacher.detach())).sum(dim=1)).mean()


@method_constructor
def less_forget(teacher: str | None = "past", weight: NonNegative = 5.0) -> Method:
    """Embeddings keep the direction of an earlier or a trained network's (Hou et al., 2019).

    >>> from selfdistill.methods import less_forget
    >>> print(less_forget(teacher="ema").text)
    less_forget(teacher='ema')
    """
    return Method({"direction": LessForget(weight)}, networks={"teacher": teacher_role(teacher)})
