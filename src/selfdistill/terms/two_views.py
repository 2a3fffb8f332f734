"""Predictions of student and teacher for the batch and for a second view of it."""

from torch import Tensor

from selfdistill.terms.term import ForwardPass, LossTerm, StepContext

Pair = tuple[Tensor, Tensor]  # logits of student and teacher, [B, C] each


class TwoViews(LossTerm):
    """A loss that compares predictions of classes over rows, for the batch and the view `view`."""

    min_batch_size, reduction, uses_labels = 2, "batch", True
    supports_mixup, supports_tags = False, False  # classes are correlated over rows

    def __init__(self, view: str):
        super().__init__()
        self.view = view
        self.views = (
            ForwardPass(view, grad=True, source=view, joint=True),
            ForwardPass("teacher", grad=False, network="teacher"),
            ForwardPass(f"teacher_{view}", grad=False, network="teacher", source=view),
        )

    def predictions(self, context: StepContext) -> tuple[Pair, Pair]:
        """Return logits of student and teacher for the batch, and for the second view."""
        views = context.views
        return (
            (context.logits, views["teacher"].logits),
            (views[self.view].logits, views[f"teacher_{self.view}"].logits),
        )
