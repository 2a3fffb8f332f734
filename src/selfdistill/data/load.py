"""A data set by its specification, split as a run wants it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from selfdistill.data.images import Images, Splits, require_classes
from selfdistill.data.label_noise import with_noise
from selfdistill.data.lazy import LazyImages
from selfdistill.data.sources import Raw, read
from selfdistill.data.subsets import held_out, stratified
from selfdistill.errors import UserError
from selfdistill.system import free_memory

Decode = Literal["auto", "once", "stream"]


def load(
    spec: str,
    *,
    limit: int | None = None,
    validation: float = 0.0,
    seed: int = 0,
    size: int | None = None,
    label_noise: float = 0.0,
    decode: Decode = "auto",
) -> Splits:
    """Load a data set by its specification: "digits", "parquet:PATH", "folder:PATH", "cifar100", "fake".

    `limit` keeps so many training images, stratified; `validation` is the share of them that is then held
    out, in the place of a validation set that the source may have; both are drawn by `seed`. `size` in
    pixels is what images are resized to. `label_noise` is the share of the training labels, the held out
    ones not, that are then made wrong. `decode` says when files become pixels: "once", "stream" (as they are
    needed), or "auto": once where all fit into half of the memory that is free. It changes no batch. Raises
    `UserError` for whatever is wrong with the data.
    """
    if size is not None and size < 1:
        raise UserError(f"images must have 1 pixel a side at least, but --size is {size}")

    def pick(labels: Tensor, classes: Sequence[str]) -> Tensor:
        require_classes(labels, classes, spec)
        return torch.arange(len(labels)) if limit is None else stratified(labels, limit, seed)

    raw = read(spec, pick, size)
    _require_one_size(raw, spec)
    raw = _decoded(raw, decode)
    train, held = _hold_out(raw.train, validation, seed) if validation else (raw.train, raw.validation)
    train = replace(train, labels=with_noise(train.labels, label_noise, len(raw.classes), seed))
    return Splits(train, held, raw.test, raw.classes, spec, raw.flip)


def _decoded(raw: Raw, when: Decode) -> Raw:
    """The data with its files decoded, or not yet."""
    splits = [each.images for each in (raw.train, raw.validation, raw.test) if each is not None]
    needed = sum(each.nbytes for each in splits if isinstance(each, LazyImages))
    if when == "stream" or (when == "auto" and needed > free_memory() / 2):
        for each in splits:
            if isinstance(each, LazyImages):
                each.require_one_size()
        return raw
    held = None if raw.validation is None else _whole(raw.validation)
    return raw._replace(train=_whole(raw.train), validation=held, test=_whole(raw.test))


def _whole(images: Images) -> Images:
    return Images(images.images.whole(), images.labels) if isinstance(images.images, LazyImages) else images


def _hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    kept, held = held_out(images.labels, share, seed)
    return images.rows(kept), images.rows(held)


def _require_one_size(raw: Raw, spec: str) -> None:
    for name, images in (("validation", raw.validation), ("test", raw.test)):
        if images is not None and images.size != raw.train.size:
            raise UserError(
                f"the training images of {spec} have {raw.train.size} pixels a side, its {name} images "
                f"{images.size}; pass --size, to which all are resized"
            )
