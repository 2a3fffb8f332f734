"""Terms fitted to a student: what they tap, what they must find there, what they build from."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features import Anatomy
from selfdistill.features.branch import Branch
from selfdistill.features.trace import trace_modules
from selfdistill.terms import LossTerm


def tapped(term: LossTerm, found: Anatomy) -> list[str]:
    """The taps of a term by name, "stages" spelled out."""
    return [name for tap in term.taps for name in found.spelled_out(tap, term.needs_spatial)]


def require(term: LossTerm, name: str, found: Anatomy, text: str) -> None:
    """Raise `UserError` where a term reads stages or a classifier that the model does not have."""
    _require_stages(term, name, found, text)
    _require_gradient(term, name, found, text)
    if term.requires and found.classifier is None:
        parts = " and the ".join(term.requires).replace("_", " ")
        raise UserError(
            f"{text} reads the {parts} (term {name!r}), but no one module makes this "
            "model's logits; pass classifier='head', the path of the module to read"
        )
    if "classifier_weight" in term.requires and not found.linear:
        raise UserError(
            f"{text} reads the weight of a linear classifier (term {name!r}), but {found.classifier!r} is none; "
            "take a model that ends in a linear layer"
        )


def _require_stages(term: LossTerm, name: str, found: Anatomy, text: str) -> None:
    stages = found.stages_named(term.needs_spatial)
    if "stages" in term.taps and len(stages) < term.min_stages:
        raise UserError(
            f"{text} reads the stages of a model (term {name!r}) and needs {term.min_stages} at least, but "
            f"{found.model} has {len(stages)}; take a deeper model, larger images, or a method that reads logits alone"
        )


def _require_gradient(term: LossTerm, name: str, found: Anatomy, text: str) -> None:
    """Raise `UserError` for a tap whose output has no autograd graph: its loss would not reach the student."""
    paths = {tap: found.stage(tap).path for tap in tapped(term, found)}
    if cut := [tap for tap, path in paths.items() if tap != "embedding" and path in found.without_graph]:
        raise UserError(
            f"{text} taps {cut[0]!r} (term {name!r}), which {found.model} computes without gradient: outside no_grad, "
            "and in torch.utils.checkpoint with use_reentrant=False, it can be taught"
        )


def shapes(taps: list[str], found: Anatomy, rows: int) -> dict[str, Size]:
    """The shapes of these taps in a batch of so many rows, of the logits and of the embedding."""
    shapes = {tap: Size((rows, *found.stage(tap).shape[1:])) for tap in taps}
    return shapes | {"logits": found.logits} | ({"embedding": found.embedding} if found.embedding else {})


def tails(student: nn.Module, found: Anatomy, like: Tensor) -> Callable[[str], Branch]:
    """Return a function that builds the branch behind a tap; `like` has the student's device and dtype."""
    return partial(_cut, student, torch.zeros(2, *found.images).to(like), found)


def _cut(student: nn.Module, images: Tensor, found: Anatomy, tap: str) -> Branch:
    return Branch(student, trace_modules(student, images, found.output)[0], found, tap)
