"""Efficient One Pass Self-distillation with Zipf's Label Smoothing (https://arxiv.org/abs/2207.12980)."""

from typing import Literal

from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional import channels, has_positions, position_votes, shared_ranks, zipf_kl
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext


class ZipfLabels(LossTerm):
    """The other classes follow Zipf's law in the order of their votes, one for each position of the last stage."""

    supports_mixup, supports_tags, needs_labels = False, False, True  # ranks leave out the true class

    def __init__(self, votes: str, mask: bool, weight: float):
        super().__init__()
        self.votes, self.mask, self.weight, self.reduction = votes, mask, weight, "batch" if mask else "mean"
        if votes == "positions":
            self.taps, self.requires, self.supports_pixels = ("stage-1",), ("embedding", "classifier"), False

    def build(self, context: BuildContext) -> None:
        """Check that the classifier can read each position."""
        for tap in self.taps:
            shape, width = context.shapes[tap], context.shapes["embedding"][-1]
            if not has_positions(shape) or channels(shape) != width:
                found = f"{tap!r} gives {[*shape]} and the classifier reads {width} channels"
                raise UserError(f"zipf_ls() classifies each position, but {found}; pass zipf_ls(votes='logits')")

    def loss(self, context: StepContext) -> LossValue:
        """Compute KL(q || z without the true class), q the Zipf shares of the ranks."""
        logits, labels = context.logits, context.batch.labels
        right = logits.argmax(dim=1) == labels if self.mask else None
        return zipf_kl(logits, shared_ranks(self.scores(context)), labels, right)

    def scores(self, context: StepContext) -> Tensor:
        """Return the numbers by which classes are ranked: votes, or the logits. -> [B, C]."""
        if self.votes == "logits":
            return context.logits.detach()
        return position_votes(context.features[self.taps[0]].detach(), context.classifier)


@method_constructor
def zipf_ls(
    weight: NonNegative = 0.1, votes: Literal["positions", "logits"] = "positions", mask: bool = False
) -> Method:
    """Zipf's law over the other classes, ranked by votes of positions (Liang et al., 2022).

    `mask` leaves out rows that are classified wrongly.

    >>> from selfdistill.methods import zipf_ls
    >>> print(zipf_ls(votes="logits").text)
    zipf_ls(votes='logits')
    """
    return Method({"zipf": ZipfLabels(votes, mask, weight)})
