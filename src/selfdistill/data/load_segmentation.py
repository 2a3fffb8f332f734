"""Loading of a segmentation data set by its specification: subset, validation split, decoding."""

import warnings
from collections.abc import Callable

import torch

from selfdistill.data.decode import UnreadableImage, require_readable
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.load_dataset import Decode, skipped_note
from selfdistill.data.masked_files import MaskedFiles
from selfdistill.data.masked_images import MaskedImages, MaskedSplits
from selfdistill.data.sources import read_masked
from selfdistill.data.subsets import complement, uniform
from selfdistill.errors import UserError
from selfdistill.system import free_memory


def load_masks(
    spec: str,
    *,
    limit: int | None = None,
    validation: float = 0.0,
    seed: int = 0,
    decode: Decode = "auto",
    skip_unreadable: bool = False,
    on_note: Callable[[str], None] = warnings.warn,
) -> MaskedSplits:
    """Load a data set with a class for each pixel by its specification: "masks:PATH", "shapes:segment".

    `limit` keeps that many training images; `validation` is the fraction of them that is then split off, in place of
    the source's own validation set; both are drawn uniformly by `seed`. `decode` is when files are decoded: "once"
    (in advance), "stream" (on access), or "auto" (once if all fit into half of the free memory). `skip_unreadable`
    leaves out images that cannot be read, or whose masks cannot. `on_note` gets a note on them. Raises
    `UserError` for invalid data or options.

    >>> splits = load_masks("shapes:segment,size=32,train=20,test=4", validation=0.2)
    >>> len(splits.train), len(splits.validation), len(splits.test)
    (16, 4, 4)
    """
    files = fingerprint(spec)
    raw = read_masked(spec, lambda count: uniform(count, count if limit is None else limit, seed), skip_unreadable)
    notes = (*dict.fromkeys(raw.notes), *skipped_note(raw.skipped))
    for note in notes:
        on_note(note)
    train, held = _hold_out(raw.train, validation, seed) if validation else (raw.train, raw.validation)
    _decode([each for each in (train, held, raw.test) if each is not None], decode)
    skipped = tuple(each.name for each in raw.skipped)
    return MaskedSplits(train, held, raw.test, raw.classes, spec, raw.flip, files, notes, skipped)


def _hold_out(images: MaskedImages, share: float, seed: int) -> tuple[MaskedImages, MaskedImages]:
    """Split off a share of the images, at least one."""
    if not 0 < share < 1:
        raise UserError(f"the validation share must lie between 0 and 1, but is {share}")
    count = len(images)
    if count < 2:
        raise UserError("one training image leaves none for validation; add images, or leave out the validation share")
    held = min(max(round(count * share), 1), count - 1)
    kept = uniform(count, count - held, seed)
    return images.rows(kept), images.rows(complement(kept, count))


def _decode(parts: list[MaskedImages], when: Decode) -> None:
    """Decode the files now, and keep them; or leave them."""
    lazy = [each.pairs for each in parts if isinstance(each.pairs, MaskedFiles)]
    if when == "stream" or (when == "auto" and sum(each.nbytes for each in lazy) > free_memory() / 2):
        return
    require_readable([error for each in lazy for error in _decode_all(each)])


def _decode_all(files: MaskedFiles) -> list[UnreadableImage]:
    """Decode all files into an unbounded cache; return what cannot be read."""
    files.cache = float("inf")
    errors = list[UnreadableImage]()
    files.prefetch(torch.arange(len(files)))
    for row in range(len(files)):
        try:
            files[row]
        except UnreadableImage as error:
            errors.append(error)
    return errors
