"""Preparation of terms for a student: tap names, requirements, shapes, branches."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import torch
from torch import Size, nn

from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.features import Anatomy
from selfdistill.features.branch import Branch
from selfdistill.features.trace import trace_modules
from selfdistill.functional import channels, has_positions
from selfdistill.inputs import Inputs, num_rows
from selfdistill.method import Method
from selfdistill.step.passes import inputs_of
from selfdistill.step.rows import ExampleRows
from selfdistill.terms import CLASSIFIED, ForwardPass, LossTerm


def tap_names(term: LossTerm, anatomy: Anatomy) -> list[str]:
    """List the taps of a term, "stages" expanded."""
    taps = (*term.taps, CLASSIFIED) if _classifies_positions(term, anatomy) else term.taps
    return [name for tap in taps for name in anatomy.expand_tap(tap, term.needs_spatial)]


def _classifies_positions(term: LossTerm, anatomy: Anatomy) -> bool:
    return term.reads_maps and not anatomy.dense


def require(term: LossTerm, name: str, anatomy: Anatomy, text: str) -> None:
    """Raise `UserError` for a term that reads stages or a classifier that the model lacks."""
    _require_stages(term, name, anatomy, text)
    _require_gradient(term, name, anatomy, text)
    if _classifies_positions(term, anatomy):
        _require_classifier_of_positions(name, anatomy, text)
    if term.requires and anatomy.classifier is None:
        parts = " and the ".join(term.requires).replace("_", " ")
        raise UserError(
            f"{text} reads the {parts} (term {name!r}), but no single module computes this "
            "model's logits; pass classifier='head', the path of the module to read"
        )
    if "classifier_weight" in term.requires and not anatomy.linear:
        raise UserError(
            f"{text} reads the weight of a linear classifier (term {name!r}), but {anatomy.classifier!r} is "
            "not linear; use a model that ends in a linear layer"
        )


def _require_classifier_of_positions(name: str, anatomy: Anatomy, text: str) -> None:
    shape, reads = anatomy.stage(CLASSIFIED).shape, anatomy.embedding[1] if anatomy.embedding else None
    if anatomy.linear and has_positions(shape) and channels(shape) == reads:
        return
    found = f"the last stage gives {[*shape]} and the classifier "
    found += f"reads {reads} channels" if anatomy.linear else "is no single linear layer"
    raise UserError(
        f"{text} applies the classifier at each position of the last stage (term {name!r}), but {found}; use a model "
        "that ends in a global average and a linear layer, or one that classifies pixels"
    )


def require_stored_weight(term: LossTerm, student: nn.Module, anatomy: Anatomy, text: str) -> None:
    """Raise `UserError` for a term that writes a weight which a parametrization computes, or a bias where is none."""
    if not term.writes_weight:
        return
    stored = dict(student.get_submodule(str(anatomy.classifier)).named_parameters(recurse=False))
    if "weight" not in stored:
        raise UserError(
            f"{text} writes the weight of {anatomy.classifier!r} at the end, but a parametrization computes it; call "
            "torch.nn.utils.parametrize.remove_parametrizations, or use another method"
        )
    if term.writes_bias and "bias" not in stored:
        raise UserError(
            f"{text} writes the bias of {anatomy.classifier!r} at the end, but that layer has none; make it with "
            "bias=True, or use another method"
        )


def require_changeable(method: Method, views: Iterable[ForwardPass], inputs: Inputs) -> None:
    """Raise `UserError` for inputs that the method cannot mix, erase or transform, before the first step."""
    batch = Batch(inputs, torch.zeros(num_rows(inputs), dtype=torch.int64))
    try:
        for change in (method.mixing, method.erasing):
            if change:
                change(batch, torch.Generator())
        for view in views:
            inputs_of(replace(view, source=None), batch)
    except UserError as error:
        raise UserError(f"{method.text}: {error}") from error


def _require_stages(term: LossTerm, name: str, anatomy: Anatomy, text: str) -> None:
    stages = anatomy.stage_names(term.needs_spatial)
    if "stages" in term.taps and len(stages) < term.min_stages:
        raise UserError(
            f"{text} reads the stages of a model (term {name!r}) and needs at least {term.min_stages}, but "
            f"{anatomy.model} has {len(stages)}{_reason(anatomy)}; use a model with more stages, larger inputs, "
            "or a method that reads only logits"
        )


def _reason(anatomy: Anatomy) -> str:
    """Return the reason why stages were not found, where it is known."""
    if not anatomy.has_root:
        return ": its inputs are integers that no layer embeds; look them up by nn.Embedding"
    return " (each module is one at most, an LSTM of several layers too)" if len(anatomy.stages) == 1 else ""


def _require_gradient(term: LossTerm, name: str, anatomy: Anatomy, text: str) -> None:
    """Raise `UserError` for a tap whose output has no autograd graph: its loss would not reach the student."""
    paths = {tap: anatomy.stage(tap).path for tap in tap_names(term, anatomy)}
    if without_graph := [tap for tap, path in paths.items() if tap != "embedding" and path in anatomy.without_graph]:
        raise UserError(
            f"{text} taps {without_graph[0]!r} (term {name!r}), which {anatomy.model} computes without gradient; "
            "call it outside no_grad, and in torch.utils.checkpoint with use_reentrant=False"
        )


def shapes(taps: list[str], rows: ExampleRows, batch: int) -> dict[str, Size]:
    """Return the shapes of taps in a batch, and of the rows of logits and embedding."""
    return {tap: Size((batch, *rows.anatomy.stage(tap).shape[1:])) for tap in taps} | rows.shapes()


def branch_factory(student: nn.Module, anatomy: Anatomy, inputs: Inputs) -> Callable[[str], Branch]:
    """Return a function that makes the branch behind a tap of a student of these inputs."""
    return partial(_make_branch, student, inputs, anatomy)


def _make_branch(student: nn.Module, inputs: Inputs, anatomy: Anatomy, tap: str) -> Branch:
    if anatomy.dense:
        raise UserError(
            f"a branch from {tap!r} classifies whole examples, but {anatomy.model} classifies their parts and "
            "may read its encoder at several places; use a method without branches"
        )
    return Branch(student, trace_modules(student, inputs, anatomy.output)[0], anatomy, tap)
