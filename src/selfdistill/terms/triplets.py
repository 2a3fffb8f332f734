"""Terms that relate each image to one of its class, and to a row of another class."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from selfdistill.functional import other_class_rows, uniform
from selfdistill.heads.relation import PairHeads
from selfdistill.terms.pairs import stage_names
from selfdistill.terms.term import BuildContext, ForwardPass, LossTerm, StepContext

PEER = ForwardPass("peer", grad=True, source="peer", joint=True)


class Pairs(NamedTuple):
    """Relations and logits of pairs of images at each stage."""

    relations: Sequence[Tensor]  # [B, 1] each
    logits: Sequence[Tensor]  # [B, C] each


class Triplets(LossTerm):
    """A loss of pairs of each image with one of its class, and with a random row of another class."""

    views = (PEER,)
    taps, min_stages, min_batch_size, reduction = ("stages",), 2, 2, "batch"
    supports_mixup, supports_tags = False, False
    needs_labels, uses_random = True, True

    def build(self, context: BuildContext) -> None:
        """Make a relation network for each stage."""
        self.tapped = stage_names(context.shapes)
        self.heads = PairHeads([context.shapes[tap] for tap in self.tapped], context.classes)

    def pairs(self, context: StepContext) -> tuple[Pairs, Pairs, Tensor]:
        """Return pairs of one class, pairs of two classes, and the labels [B] of the rows of another class."""
        labels = context.batch.labels
        rows = other_class_rows(uniform(context.progress.key, (len(labels), len(labels))), labels)
        one, same = ([each.features[tap] for tap in self.tapped] for each in (context.anchor, context.views["peer"]))
        other = [each[rows] for each in one]
        return Pairs(*self.heads(one, same)), Pairs(*self.heads(one, other)), labels[rows]
