"""A student's stages beside those of a teacher, or beside one another."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Size, Tensor

from selfdistill.errors import UserError
from selfdistill.terms.term import BuildContext, ForwardPass, LossTerm, StepContext

Pairing = Literal["adjacent", "last"]  # of a network's stages: each with the next deeper one, or with the last

STAGES = ForwardPass("teacher", grad=False, network="teacher", taps=("stages",))
EMBEDDING = ForwardPass("teacher", grad=False, network="teacher", taps=("embedding",))


class StagePairs(LossTerm):
    """Each stage of the student imitates the teacher's of the same depth, counted from the deepest."""

    taps = ("stages",)
    views: tuple[ForwardPass, ...] = (STAGES,)

    def build(self, context: BuildContext) -> None:
        """Pair the stages."""
        self.matched = paired(context, self.needs_spatial)

    def loss(self, context: StepContext):
        """Sum over pairs of what `compare` gives between the two."""
        theirs = context.views["teacher"].features
        gaps = [self.compare(context.features[own], theirs[deep].detach()) for own, deep in self.matched]
        return torch.stack(gaps).sum()

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """What lies between two features, [B, D, H, W] or [B, N, D] each. -> []."""
        raise NotImplementedError(f"{type(self).__name__} does not define compare")


class EmbeddingPairs(LossTerm):
    """The student's embeddings of a batch lie to one another as the teacher's do."""

    views: tuple[ForwardPass, ...] = (EMBEDDING,)
    requires = ("embedding",)
    min_batch_size = 2
    reduction = "batch"

    def loss(self, context: StepContext):
        """What `compare` gives between the two batches of embeddings."""
        return self.compare(context.embedding, context.views["teacher"].embedding)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """What lies between two batches, [B, D] and [B, E]. -> []."""
        raise NotImplementedError(f"{type(self).__name__} does not define compare")


def paired(context: BuildContext, maps: bool = False) -> list[tuple[str, str]]:
    """Stages of the student and of the teacher of equal depth from the end, shallow first."""
    own, theirs = stages(context.shapes, maps), stages(context.views["teacher"], maps)
    if not own or not theirs:
        raise UserError(
            f"stages are compared with the teacher's, but the student has {len(own)} and the teacher {len(theirs)} "
            "that can be; take larger images or a deeper model"
        )
    return list(zip(own[::-1], theirs[::-1], strict=False))[::-1]


def within(
    shapes: Mapping[str, Size],
    asker: str,
    pairs: Pairing = "adjacent",
    maps: bool = False,
    way_out: str = "take larger images or a deeper model",
) -> list[tuple[str, str]]:
    """Each stage of one network beside the next deeper one, or beside the "last"; shallow first.

    Raises `UserError` in the name of the asker where there are fewer than two.
    """
    own = stages(shapes, maps)
    if len(own) < 2:
        kind = " of 2x2 positions or more" if maps else ""
        raise UserError(f"{asker} compares stages with one another, but found {len(own)}{kind}; {way_out}")
    return [(each, own[-1]) for each in own[:-1]] if pairs == "last" else list(pairwise(own))


def stages(shapes: Mapping[str, Size], maps: bool = False) -> list[str]:
    """Names of stages, shallow first; with `maps` those of 2x2 positions or two tokens at least."""
    found = [name for name in shapes if name.removeprefix("stage").isdigit()]
    kept = [name for name in found if not maps or _has_positions(shapes[name])]
    return sorted(kept, key=lambda name: int(name.removeprefix("stage")))


def _has_positions(shape: Size) -> bool:
    return math.prod(shape[2:]) >= 4 if len(shape) == 4 else shape[1] >= 2
