"""Forward passes of a step: merging of declarations, inputs, and splitting of outputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.inputs import Inputs, num_rows
from selfdistill.terms import ForwardPass, LossTerm, ModelOutputs


def merge_passes(terms: Iterable[LossTerm]) -> tuple[ForwardPass, ...]:
    """Merge the passes of all terms by name: with gradient if any term needs it, and the union of taps."""
    merged: dict[str, ForwardPass] = {}
    for view in (view for term in terms for view in term.views):
        known = merged.get(view.name, view)
        taps = tuple(dict.fromkeys((*known.taps, *view.taps)))
        merged[view.name] = replace(known, grad=known.grad or view.grad, taps=taps)
    return tuple(merged.values())


def inputs_of(view: ForwardPass, batch: Batch) -> Inputs:
    """Return the inputs of a forward pass."""
    inputs = batch.extra[view.source] if view.source else batch.inputs
    return view.transform(inputs) if view.transform else inputs


def split(outputs: ModelOutputs, parts: Sequence[Inputs]) -> list[ModelOutputs]:
    """Split the outputs of a pass whose inputs were the concatenated rows of `parts`."""
    if len(parts) == 1:
        return [outputs]
    rows = [num_rows(each) for each in parts]
    embeddings = [None] * len(rows) if outputs.embedding_or_none is None else torch.split(outputs.embedding, rows)
    features = {name: torch.split(each, rows) for name, each in outputs.features.items()}
    auxiliary = [torch.split(each, rows) for each in outputs.auxiliary]
    columns = enumerate(zip(torch.split(outputs.logits, rows), embeddings, parts, strict=True))
    return [
        ModelOutputs(logits, embedding, _part(k, features), inputs, tuple(each[k] for each in auxiliary))
        for k, (logits, embedding, inputs) in columns
    ]


def _part(k: int, features: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    return {name: each[k] for name, each in features.items()}


def detached(outputs: ModelOutputs) -> ModelOutputs:
    """Detach the outputs of a pass."""
    embedding = None if outputs.embedding_or_none is None else outputs.embedding.detach()
    features = {name: each.detach() for name, each in outputs.features.items()}
    return ModelOutputs(outputs.logits.detach(), embedding, features, outputs.inputs)
