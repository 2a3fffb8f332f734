"""Loading of a data set by its specification: subset, validation split, label noise, decoding."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.images import Images, Splits, require_classes
from selfdistill.data.label_noise import add_label_noise
from selfdistill.data.lazy import LazyImages
from selfdistill.data.sources import read
from selfdistill.data.sources.source_data import SourceData
from selfdistill.data.subsets import split_validation, stratified
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

    `limit` keeps a stratified sample of that many training images; `validation` is the share of them that is
    then split off, in place of the source's own validation set; both are drawn by `seed`. Images are resized to
    `size` pixels a side. `label_noise` is the share of the remaining training labels that are replaced by wrong
    ones. `decode` is when image files are decoded: "once" (in advance), "stream" (on access), or "auto" (once if
    all fit into half of the free memory); batches are the same. Raises `UserError` for invalid data or options.

    >>> splits = load("digits", limit=100, validation=0.2)
    >>> len(splits.train), len(splits.validation), len(splits.test), splits.train.images.shape
    (80, 20, 359, torch.Size([80, 3, 8, 8]))
    """
    if size is not None and size < 1:
        raise UserError(f"images must have a side of at least 1 pixel, but --size is {size}")

    def pick(labels: Tensor, classes: Sequence[str]) -> Tensor:
        require_classes(labels, classes, spec)
        return torch.arange(len(labels)) if limit is None else stratified(labels, limit, seed)

    files = fingerprint(spec)
    raw = read(spec, pick, size)
    _require_one_size(raw, spec)
    raw = _decoded(raw, decode)
    train, held = _hold_out(raw.train, validation, seed) if validation else (raw.train, raw.validation)
    train = replace(train, labels=add_label_noise(train.labels, label_noise, len(raw.classes), seed))
    return Splits(train, held, raw.test, raw.classes, spec, raw.flip, files)


def _decoded(raw: SourceData, when: Decode) -> SourceData:
    """Decode the files now, or keep them lazy."""
    splits = [each.images for each in (raw.train, raw.validation, raw.test) if each is not None]
    needed = sum(each.nbytes for each in splits if isinstance(each, LazyImages))
    if when == "stream" or (when == "auto" and needed > free_memory() / 2):
        for each in splits:
            if isinstance(each, LazyImages):
                each.require_one_size()
        return raw
    held = None if raw.validation is None else _decode_images(raw.validation)
    return raw._replace(train=_decode_images(raw.train), validation=held, test=_decode_images(raw.test))


def _decode_images(images: Images) -> Images:
    return Images(images.images.decode_all(), images.labels) if isinstance(images.images, LazyImages) else images


def _hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    kept, held = split_validation(images.labels, share, seed)
    return images.rows(kept), images.rows(held)


def _require_one_size(raw: SourceData, spec: str) -> None:
    for name, images in (("validation", raw.validation), ("test", raw.test)):
        if images is not None and images.size != raw.train.size:
            raise UserError(
                f"the training images of {spec} have {raw.train.size} pixels a side, its {name} images "
                f"{images.size}; pass --size to resize all"
            )
