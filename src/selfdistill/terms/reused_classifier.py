"""A task whose result is a student with the teacher's classifier."""

import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.terms.branches import merge_into_classifier
from selfdistill.terms.pairs import EMBEDDING
from selfdistill.terms.term import BuildContext, ForwardPass, LossTerm, LossValue, StepContext


class ReusedClassifier(LossTerm):
    """A linear map of the embedding is near to the teacher's, whose classifier the student gets at the end."""

    views: tuple[ForwardPass, ...] = (EMBEDDING,)
    requires, writes_weight, writes_bias = ("embedding", "classifier_weight"), True, True
    supports_weights = False  # no loss reads labels

    def build(self, context: BuildContext) -> None:
        """Make the map between the two widths. Raises `UserError` for a teacher of other classes."""
        self.reused = context.classifiers["teacher"]
        classes, width = self.reused().weight.shape
        if classes != context.classes:
            raise UserError(
                f"the student gets the teacher's classifier, which tells {classes} classes apart, but the student "
                f"{context.classes}; take a teacher of the same classes"
            )
        self.project = nn.Linear(context.shapes["embedding"][-1], width, bias=False)

    def loss(self, context: StepContext) -> LossValue:
        """Compute mean (A f - f_t)²; the student's own classifier gets a gradient of zeros."""
        return self.gap(context.embedding, context) + 0 * context.logits.sum()

    def gap(self, embedding: Tensor, context: StepContext) -> Tensor:
        """Compute the mean squared error of the map. [B, D] -> []."""
        return F.mse_loss(self.project(embedding), context.views["teacher"].embedding)

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Write W_t A and b_t into the student's classifier."""
        weight, bias = self.reused()
        merge_into_classifier(student, classifier, lambda _: weight @ self.project.weight, bias)
