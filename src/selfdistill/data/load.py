"""A data set by its specification, split as a run wants it."""

import torch
from torch import Tensor

from selfdistill.data.images import Images, Splits, require_classes
from selfdistill.data.sources import read
from selfdistill.data.split import held_out, stratified


def load(
    spec: str, *, limit: int | None = None, validation: float = 0.0, seed: int = 0, size: int | None = None
) -> Splits:
    """Load a data set such as "digits", "parquet:PATH", "folder:PATH" or "cifar100".

    `limit` keeps so many training images, stratified; `validation` is the share of the training set
    that is held out; both are drawn by `seed`. `size` in pixels is what images are resized to. Raises
    `UserError` for whatever is wrong with the data, before any training.
    """

    def pick(labels: Tensor) -> Tensor:
        return torch.arange(len(labels)) if limit is None else stratified(labels, limit, seed)

    raw = read(spec, pick, size)
    require_classes(raw.train.labels, raw.classes, spec)
    train, held = _hold_out(raw.train, validation, seed) if validation else (raw.train, raw.validation)
    return Splits(train, held, raw.test, raw.classes, spec, raw.flip)


def _hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    kept, held = held_out(images.labels, share, seed)
    return images.rows(kept), images.rows(held)
