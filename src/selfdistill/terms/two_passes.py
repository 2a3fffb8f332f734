"""Two passes of each batch under dropout: that of the model, and one in front of its classifier."""

from torch import Tensor

from selfdistill.functional import dropout_logits, uniform
from selfdistill.terms.term import ForwardPass, LossTerm, StepContext


class TwoPasses(LossTerm):
    """A loss of two predictions of each example; a rate of 0 leaves dropout to the model."""

    views = (ForwardPass("again", grad=True, joint=True),)
    uses_labels = True

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout, self.uses_random, self.needs_dropout = dropout, dropout > 0, dropout == 0
        self.requires = ("embedding", "classifier_weight") if dropout else ()

    def predictions(self, context: StepContext) -> list[Tensor]:
        """Return the logits of both passes. -> 2 of [B, C]."""
        passes = [context.anchor, context.views["again"]]
        if not self.dropout:
            return [each.logits for each in passes]
        keep = (uniform(context.progress.key, (2, *context.embedding.shape)) >= self.dropout).to(context.logits.dtype)
        weight, rate = context.classifier_weight, self.dropout
        return [
            dropout_logits(each.logits, each.embedding, weight, kept, rate)
            for each, kept in zip(passes, keep, strict=True)
        ]
