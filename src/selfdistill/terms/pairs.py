"""Terms over pairs of features: stages or embeddings of student and teacher, or stages of one network."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Size, Tensor

from selfdistill.errors import UserError
from selfdistill.functional import has_positions
from selfdistill.terms.term import BuildContext, ForwardPass, LossTerm, LossValue, StepContext

Pairing = Literal["adjacent", "last"]  # each stage with the next deeper one, or with the last

STAGES = ForwardPass("teacher", grad=False, network="teacher", taps=("stages",))
EMBEDDING = ForwardPass("teacher", grad=False, network="teacher", taps=("embedding",))


class StagePairs(LossTerm):
    """A loss between stages of student and teacher of equal depth, counted from the deepest."""

    taps = ("stages",)
    views: tuple[ForwardPass, ...] = (STAGES,)

    def build(self, context: BuildContext) -> None:
        """Match the student's stages to the teacher's."""
        self.matched = match_stages(context, self.needs_spatial)

    def loss(self, context: StepContext) -> LossValue:
        """Sum `compare` over the pairs."""
        teacher = context.views["teacher"].features
        losses = [self.compare(context.features[own], teacher[deep].detach()) for own, deep in self.matched]
        return torch.stack(losses).sum()

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss between two features, [B, D, H, W] or [B, N, D] each. -> []."""
        raise NotImplementedError(f"{type(self).__name__} does not define compare")


class EmbeddingPairs(LossTerm):
    """A loss between the embeddings of student and teacher."""

    views: tuple[ForwardPass, ...] = (EMBEDDING,)
    requires = ("embedding",)
    min_batch_size = 2
    reduction: Literal["mean", "batch"] = "batch"

    def loss(self, context: StepContext) -> LossValue:
        """Return `compare` of the two embeddings."""
        return self.compare(context.embedding, context.views["teacher"].embedding)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss between two embeddings, [B, D] and [B, E]. -> []."""
        raise NotImplementedError(f"{type(self).__name__} does not define compare")


def match_stages(context: BuildContext, spatial: bool = False) -> list[tuple[str, str]]:
    """Pair stages of student and teacher of equal depth, counted from the deepest; shallow first.

    Raises `UserError` if either has no stage.
    """
    own, teacher = stage_names(context.shapes, spatial), stage_names(context.views["teacher"], spatial)
    if not own or not teacher:
        raise UserError(
            f"the loss compares stages{_positions(spatial)} of student and teacher, but the student has {len(own)} "
            f"and the teacher {len(teacher)}; take a model with more stages, or larger inputs"
        )
    return list(zip(own[::-1], teacher[::-1], strict=False))[::-1]


def stage_pairs(
    shapes: Mapping[str, Size],
    method: str,
    pairs: Pairing = "adjacent",
    spatial: bool = False,
    way_out: str = "take a model with more stages, or larger inputs",
) -> list[tuple[str, str]]:
    """Pair each stage of one network with the next deeper one, or with the last; shallow first.

    Raises `UserError` that names the method if there are fewer than two.
    """
    own = stage_names(shapes, spatial)
    if len(own) < 2:
        found = f"{len(own)}{_positions(spatial)}"
        raise UserError(f"{method} compares stages with one another, but found {found}; {way_out}")
    return [(each, own[-1]) for each in own[:-1]] if pairs == "last" else list(pairwise(own))


def _positions(spatial: bool) -> str:
    return " of 2x2 positions or more" if spatial else ""


def stage_names(shapes: Mapping[str, Size], spatial: bool = False) -> list[str]:
    """List the stages, shallow first; with `spatial` only those of at least 2x2 positions or two tokens."""
    found = [name for name in shapes if name.removeprefix("stage").isdigit()]
    kept = [name for name in found if not spatial or has_positions(shapes[name])]
    return sorted(kept, key=lambda name: int(name.removeprefix("stage")))
