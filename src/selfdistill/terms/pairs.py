"""A student's stages beside those of a teacher, or beside one another."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Size, Tensor

from selfdistill.errors import UserError
from selfdistill.terms.term import Parts, Seen, Term, View

Pairing = Literal["adjacent", "last"]  # of a network's stages: each with the next deeper one, or with the last

STAGES = View("teacher", grad=False, network="teacher", taps=("stages",))
EMBEDDING = View("teacher", grad=False, network="teacher", taps=("embedding",))


class StagePairs(Term):
    """Each stage of the student imitates the teacher's of the same depth, counted from the deepest."""

    taps = ("stages",)
    views: tuple[View, ...] = (STAGES,)

    def build(self, parts: Parts) -> None:
        """Pair the stages."""
        self.matched = paired(parts, self.maps)

    def loss(self, seen: Seen):
        """Sum over pairs of what `gap` finds between the two."""
        theirs = seen.views["teacher"].features
        gaps = [self.gap(seen.features[own], theirs[deep].detach()) for own, deep in self.matched]
        return torch.stack(gaps).sum()

    def gap(self, student: Tensor, teacher: Tensor) -> Tensor:
        """What lies between two features, [B, D, H, W] or [B, N, D] each. -> []."""
        raise NotImplementedError(f"{type(self).__name__} defines no gap")


class EmbeddingPairs(Term):
    """The student's embeddings of a batch lie to one another as the teacher's do."""

    views: tuple[View, ...] = (EMBEDDING,)
    reads = ("embedding",)
    rows = 2
    over = "batch"

    def loss(self, seen: Seen):
        """What `gap` finds between the two batches of embeddings."""
        return self.gap(seen.embedding, seen.views["teacher"].embedding)

    def gap(self, student: Tensor, teacher: Tensor) -> Tensor:
        """What lies between two batches, [B, D] and [B, E]. -> []."""
        raise NotImplementedError(f"{type(self).__name__} defines no gap")


def paired(parts: Parts, maps: bool = False) -> list[tuple[str, str]]:
    """Stages of the student and of the teacher of equal depth from the end, shallow first."""
    own, theirs = stages(parts.shapes, maps), stages(parts.views["teacher"], maps)
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
