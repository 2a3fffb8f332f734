"""The passes of a step: which there are, of which images, and what each part of one shows."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.terms import ForwardPass, LossTerm, ModelOutputs


def merge_passes(terms: Iterable[LossTerm]) -> tuple[ForwardPass, ...]:
    """Each view once: with gradient if any term asks for it, with all that any reads in it."""
    asked: dict[str, ForwardPass] = {}
    for view in (view for term in terms for view in term.views):
        known = asked.get(view.name, view)
        taps = tuple(dict.fromkeys((*known.taps, *view.taps)))
        asked[view.name] = replace(known, grad=known.grad or view.grad, taps=taps)
    return tuple(asked.values())


def images_of(view: ForwardPass, batch: Batch) -> Tensor:
    """Return the inputs of a forward pass. -> [B, 3, H, W]."""
    images = batch.extra[view.source] if view.source else batch.images
    return view.transform(images) if view.transform else images


def split(shown: ModelOutputs, rows: list[int]) -> list[ModelOutputs]:
    """One pass's outputs as those of its parts of so many rows."""
    if len(rows) == 1:
        return [shown]
    embeddings = [None] * len(rows) if shown.embedding_or_none is None else torch.split(shown.embedding, rows)
    features = {name: torch.split(each, rows) for name, each in shown.features.items()}
    parts = zip(torch.split(shown.logits, rows), embeddings, strict=True)
    return [ModelOutputs(*part, {name: each[k] for name, each in features.items()}) for k, part in enumerate(parts)]


def detached(shown: ModelOutputs) -> ModelOutputs:
    """Detach the outputs of a pass."""
    embedding = None if shown.embedding_or_none is None else shown.embedding.detach()
    return ModelOutputs(shown.logits.detach(), embedding, {k: v.detach() for k, v in shown.features.items()})
