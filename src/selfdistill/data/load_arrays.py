"""Loading of a data set of tensors by its specification: subset, validation split."""

import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.examples import Examples, TensorSplits
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.images import require_classes
from selfdistill.data.sources import require_tensors
from selfdistill.data.sources.tensors import read_tensors
from selfdistill.data.subsets import split_validation, stratified
from selfdistill.task import SEGMENT

NAMED = 3  # classes that a note names


def load_tensors(
    spec: str,
    *,
    limit: int | None = None,
    validation: float = 0.0,
    seed: int = 0,
    test: TestPart = 0.0,
    on_note: Callable[[str], None] = warnings.warn,
) -> TensorSplits:
    """Load a data set of tensors by its specification: "tensors:PATH", an .npz or .safetensors file.

    Arrays are called `x_train`, `y_train`, `x_test` …, `train_images`, `train_labels` …, or `inputs` and `labels` with
    `split` [N] of 0, 1 and 2; several inputs are a mapping by their names. Inputs are tables [N, D], signals [N, C, L],
    images [N, C, H, W] or volumes [N, C, T, H, W]; labels class ids [N], tags [N, T] or pixels [N, H, W]. `limit` keeps
    that many training examples; `validation` is the fraction of them that is then split off, in place of the file's
    own; both are drawn by `seed`, stratified for classes. `test` is the test set where the file has none, the same for
    all seeds: a fraction of the training examples, or a `Fold` of them. `on_note` gets sentences on what may surprise.
    Raises `UserError` for invalid data or options.
    """
    require_tensors(spec)
    found, raw = fingerprint(spec), read_tensors(spec.partition(":")[2], test)
    if raw.task != SEGMENT:
        require_classes(raw.train.labels, raw.classes, spec)
    train = raw.train if limit is None else raw.train.rows(stratified(raw.train.labels, limit, seed))
    train, held = _hold_out(train, validation, seed) if validation else (train, raw.validation)
    notes = (*raw.notes, *(_absent(train.labels, raw.classes) if raw.task == SEGMENT else ()))
    for note in notes:
        on_note(note)
    return TensorSplits(train, held, raw.test, raw.classes, spec, raw.task, found, notes)


def _hold_out(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    kept, held = split_validation(examples.labels, share, seed)
    return examples.rows(kept), examples.rows(held)


def _absent(masks: Tensor, classes: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on classes without a training pixel."""
    counts = torch.bincount(masks[masks >= 0].long(), minlength=len(classes)).tolist()
    if absent := [name for name, count in zip(classes, counts, strict=True) if not count]:
        more = ", …" if len(absent) > NAMED else ""
        yield f"{len(absent)} of {len(classes)} classes have no training pixel: {', '.join(absent[:NAMED])}{more}"
