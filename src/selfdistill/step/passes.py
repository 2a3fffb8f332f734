"""Forward passes of a step: merging of declarations, inputs, and splitting of outputs."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.terms import ForwardPass, LossTerm, ModelOutputs


def merge_passes(terms: Iterable[LossTerm]) -> tuple[ForwardPass, ...]:
    """Merge the passes of all terms by name: with gradient if any term needs it, and the union of taps."""
    merged: dict[str, ForwardPass] = {}
    for view in (view for term in terms for view in term.views):
        known = merged.get(view.name, view)
        taps = tuple(dict.fromkeys((*known.taps, *view.taps)))
        merged[view.name] = replace(known, grad=known.grad or view.grad, taps=taps)
    return tuple(merged.values())


def images_of(view: ForwardPass, batch: Batch) -> Tensor:
    """Return the inputs of a forward pass. -> [B, 3, H, W]."""
    images = batch.extra[view.source] if view.source else batch.images
    return view.transform(images) if view.transform else images


def split(outputs: ModelOutputs, rows: list[int]) -> list[ModelOutputs]:
    """Split the outputs of a pass by rows; `rows` are the sizes of the parts."""
    if len(rows) == 1:
        return [outputs]
    embeddings = [None] * len(rows) if outputs.embedding_or_none is None else torch.split(outputs.embedding, rows)
    features = {name: torch.split(each, rows) for name, each in outputs.features.items()}
    parts = zip(torch.split(outputs.logits, rows), embeddings, strict=True)
    return [ModelOutputs(*part, {name: each[k] for name, each in features.items()}) for k, part in enumerate(parts)]


def detached(outputs: ModelOutputs) -> ModelOutputs:
    """Detach the outputs of a pass."""
    embedding = None if outputs.embedding_or_none is None else outputs.embedding.detach()
    return ModelOutputs(outputs.logits.detach(), embedding, {k: v.detach() for k, v in outputs.features.items()})
