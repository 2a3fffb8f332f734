"""Loading of a data set by its specification: subset, validation split, label noise, decoding."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import torch
from torch import Tensor

from selfdistill.data.center_crop import WHOLE, CenterCrop
from selfdistill.data.decode import UnreadableImage, UnreadableImages, in_words, require_readable
from selfdistill.data.drawn_part import TestPart
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.grey import to_grey
from selfdistill.data.images import Images, Splits, require_classes
from selfdistill.data.label_noise import add_label_noise
from selfdistill.data.lazy import LazyImages
from selfdistill.data.pixel_format import BYTE, RGB, PixelFormat
from selfdistill.data.sources import read, task_of
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.subsets import split_validation, stratified
from selfdistill.data.whole_image import SHOWN
from selfdistill.errors import UserError
from selfdistill.system import free_memory
from selfdistill.task import CLASSIFY, TAG

T = TypeVar("T")
Decode = Literal["auto", "once", "stream"]


def load(
    spec: str,
    *,
    task: Literal["classify", "tag"] = "classify",
    limit: int | None = None,
    validation: float = 0.0,
    seed: int = 0,
    size: int | None = None,
    label_noise: float = 0.0,
    decode: Decode = "auto",
    skip_unreadable: bool = False,
    test: TestPart = 0.0,
    crops: bool = False,
    channels: int | None = None,
    bits: int = BYTE,
    crop: CenterCrop = WHOLE,
    on_note: Callable[[str], None] = warnings.warn,
) -> Splits:
    """Load a data set by its specification: "digits", "parquet:PATH", "folder:PATH", "cifar100", "fake".

    With the task "tag" labels are [N, T], 1 for each tag of an image, as of "shapes:tag". `limit` keeps a
    stratified sample of that many training images; `validation` is the fraction of them that is then split off, in
    place of the source's own validation set; both are drawn by `seed`. Images are resized to `size` pixels a side.
    `label_noise` is the fraction of the remaining training labels that are replaced by wrong ones. `decode` is when
    image files are decoded: "once" (in advance), "stream" (on access), or "auto" (once if all fit into half of the
    free memory); batches are the same. `test` is the test set of data without one, the same for all seeds: a fraction
    of the training images, or a `Fold` of them. With `crops` training files are not decoded in advance, as each epoch
    crops them anew; `crop` is the center crop of files otherwise. With 1 of `channels` images are luminance, with 4
    they keep their alpha, with others files must have as many; else they have three. With 16 `bits` a channel keeps up
    to 16, in int32. `skip_unreadable` leaves out images that cannot be read. `on_note` gets a note on them. Raises
    `UserError` for invalid data or options.

    >>> splits = load("digits", limit=100, validation=0.2)
    >>> len(splits.train), len(splits.validation), len(splits.test), splits.train.images.shape
    (80, 20, 359, torch.Size([80, 3, 8, 8]))
    """
    if size is not None and size < 1:
        raise UserError(f"images must have a side of at least 1 pixel, but --size is {size}")
    _require_task(spec, task)
    files = fingerprint(spec)
    raw, skipped = read(spec, _picker(spec, limit, seed), size, test), list[UnreadableImage]()
    raw = _center_cropped(_formatted(raw, PixelFormat(channels or RGB, bits), spec), crop)
    seen = dict.fromkeys(note for images in _lazy(raw) for note in images.notes())
    if skip_unreadable:
        raw, skipped = _without_unreadable(raw)
        require_classes(raw.train.labels, raw.classes, spec)
    _require_one_size(raw, spec)
    raw, applied = _decoded(raw, decode, crops), _crop_of(raw.test)
    notes = (*raw.notes, *seen, *skipped_note(skipped), *_replaced_note(raw, validation))
    for note in notes:
        on_note(note)
    train, held = _hold_out(raw, validation, seed) if validation else (raw.train, raw.validation)
    train = replace(train, labels=add_label_noise(train.labels, label_noise, len(raw.classes), seed))
    names = tuple(each.name for each in skipped)
    return Splits(train, held, raw.test, raw.classes, spec, raw.flip, files, notes, names, applied)


def _picker(spec: str, limit: int | None, seed: int) -> PickRows:
    """Return the choice of training rows by their labels: all, or a stratified subset."""

    def pick(labels: Tensor, classes: Sequence[str]) -> Tensor:
        require_classes(labels, classes, spec)
        return torch.arange(len(labels)) if limit is None else stratified(labels, limit, seed)

    return pick


def _require_task(spec: str, task: str) -> None:
    """Raise `UserError` for tags where classes are wanted, and for classes where tags are."""
    if task_of(spec) == TAG != task:
        raise UserError(f"{spec} has tags, not one class for each image; load it with sd.data.load(…, task='tag')")
    if task_of(spec) == CLASSIFY != task:
        raise UserError(f"{spec} has one class for each image, not tags; load it without task={task!r}")


def skipped_note(errors: Sequence[UnreadableImage]) -> Iterator[str]:
    """Yield a sentence on images that were left out, if there are any."""
    if errors:
        yield f"skipped {len(errors)} unreadable {'image' if len(errors) == 1 else 'images'}: {in_words(errors)}"


def _replaced_note(raw: SourceData, validation: float) -> Iterator[str]:
    """Yield a sentence on validation images of the data that are not used."""
    if validation and raw.validation is not None:
        yield (
            f"the data's own {len(raw.validation)} validation images are not used, as --validation {validation:g} "
            "takes others from the training images"
        )


def _formatted(raw: SourceData, form: PixelFormat, spec: str) -> SourceData:
    """Set the channels and bits of the images of all splits."""

    def converted(images: Images) -> Images:
        found = images.images
        pixels = found.in_format(form) if isinstance(found, LazyImages) else _of_pixels(found, form, spec)
        return replace(images, images=pixels)

    if form == SHOWN:
        return raw
    held = None if raw.validation is None else converted(raw.validation)
    return raw._replace(train=converted(raw.train), validation=held, test=converted(raw.test))


def _of_pixels(pixels: Tensor, form: PixelFormat, spec: str) -> Tensor:
    """Convert pixels that a source has decoded: to luminance. Raises `UserError` for more than they have."""
    if not form.is_shown:
        raise UserError(
            f"--channels {form.channels} and --bits {form.bits} read image files, but {spec} has pixels of 3 channels "
            "and 8 bits; leave --bits out, and pass --channels 1 or none"
        )
    return to_grey(pixels)


def _center_cropped(raw: SourceData, crop: CenterCrop) -> SourceData:
    """Set the center crop of the files of all splits: also a plain view of training images is one."""
    held = None if raw.validation is None else _with_crop(raw.validation, crop)
    return raw._replace(train=_with_crop(raw.train, crop), validation=held, test=_with_crop(raw.test, crop))


def _with_crop(images: Images, crop: CenterCrop) -> Images:
    files = images.images
    return replace(images, images=files.cropped(crop)) if isinstance(files, LazyImages) else images


def _crop_of(images: Images) -> CenterCrop:
    """Return the center crop of images; images in memory are resized whole."""
    return images.images.crop if isinstance(images.images, LazyImages) else WHOLE


def _lazy(raw: SourceData) -> list[LazyImages]:
    """Files of all splits that are not decoded yet."""
    splits = (raw.train, raw.validation, raw.test)
    return [each.images for each in splits if each is not None and isinstance(each.images, LazyImages)]


def _without_unreadable(raw: SourceData) -> tuple[SourceData, list[UnreadableImage]]:
    """Leave out images that cannot be read, in all splits."""
    errors: list[UnreadableImage] = []

    def readable(images: Images, split: str) -> Tensor:
        broken = images.images.unreadable() if isinstance(images.images, LazyImages) else {}
        if broken and len(broken) == len(images):
            raise UserError(
                f"none of the {len(broken)} {split} images can be read: {in_words(list(broken.values()))}; repair some"
            )
        errors.extend(broken.values())
        return torch.tensor([row for row in range(len(images)) if row not in broken])

    kept = readable(raw.train, "training")
    held = None if raw.validation is None else raw.validation.rows(readable(raw.validation, "validation"))
    test = raw.test.rows(readable(raw.test, "test"))
    groups = None if raw.groups is None else raw.groups[kept]
    return raw._replace(train=raw.train.rows(kept), validation=held, test=test, groups=groups), errors


def _decoded(raw: SourceData, when: Decode, crops: bool) -> SourceData:
    """Decode the files now, or keep them lazy; with `crops` those of training are kept."""
    lazy, train = _lazy(raw), raw.train.images
    if crops and isinstance(train, LazyImages):
        if when == "once":
            raise UserError("random resized crops are read from the files at each epoch; leave --decode once out")
        train.require_one_size()
        lazy.remove(train)
    if when == "stream" or (when == "auto" and sum(each.nbytes for each in lazy) > free_memory() / 2):
        _for_each(lazy, LazyImages.require_one_size)
        return raw
    return _with_pixels(raw, _for_each(lazy, LazyImages.decode_all))


def _for_each(lazy: Sequence[LazyImages], read: Callable[[LazyImages], T]) -> dict[LazyImages, T]:
    """Call `read` with the images of each split; raise one error for the unreadable ones of all."""
    found, errors = {}, list[UnreadableImage]()
    for images in lazy:
        try:
            found[images] = read(images)
        except UnreadableImages as error:
            errors.extend(error.errors)
    require_readable(errors)
    return found


def _with_pixels(raw: SourceData, pixels: Mapping[LazyImages, Tensor]) -> SourceData:
    def decoded(images: Images) -> Images:
        found = images.images
        return replace(images, images=pixels[found]) if isinstance(found, LazyImages) and found in pixels else images

    held = None if raw.validation is None else decoded(raw.validation)
    return raw._replace(train=decoded(raw.train), validation=held, test=decoded(raw.test))


def _hold_out(raw: SourceData, share: float, seed: int) -> tuple[Images, Images]:
    """Split off a share of the training images, in whole groups where there are groups."""
    kept, held = split_validation(raw.train.labels, share, seed, raw.groups)
    return raw.train.rows(kept), raw.train.rows(held)


def _require_one_size(raw: SourceData, spec: str) -> None:
    for name, images in (("validation", raw.validation), ("test", raw.test)):
        if images is not None and images.size != raw.train.size:
            raise UserError(
                f"the training images of {spec} have {raw.train.size} pixels a side, its {name} images "
                f"{images.size}; pass --size to resize all"
            )
