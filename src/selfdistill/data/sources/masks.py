"""Images and masks paired by file name, and the layouts of PASCAL VOC and Cityscapes."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch

from selfdistill.data.decode import UnreadableImage, in_words, require_readable
from selfdistill.data.decode_mask import MaskFormat
from selfdistill.data.lazy import LazyImages
from selfdistill.data.masked_files import MaskedFile, MaskedFiles
from selfdistill.data.masked_images import MaskedImages
from selfdistill.data.rgb import ValueRange
from selfdistill.data.scan_masks import MaskScan, scan_masks
from selfdistill.data.sources.cityscapes import cityscapes, is_cityscapes
from selfdistill.data.sources.mask_folders import mask_folders
from selfdistill.data.sources.mask_layout import MaskLayout
from selfdistill.data.sources.options import parse_range, split_options
from selfdistill.data.sources.source_data import MaskedSourceData, PickCount
from selfdistill.data.sources.voc import is_voc, voc
from selfdistill.errors import UserError
from selfdistill.files import is_folder

OPTIONS = {"ignore": "ID or none", "range": "BLACK..WHITE"}
IGNORED = 255  # in files; ?ignore changes it
NAMED = 3  # classes that a note names


class ScannedSplit(NamedTuple):
    """Files of a split with the results of the scan."""

    files: list[MaskedFile]
    scan: MaskScan


def read_masked(name: str, argument: str, pick: PickCount, skip_unreadable: bool = False) -> MaskedSourceData:
    """Read `masks:PATH`, `masks:PATH?ignore=0`, `masks:PATH?ignore=none` or `masks:PATH?range=0..4095`.

    All masks are read once, so that a wrong id or size is found before the first step.
    """
    path, options = split_options(argument, OPTIONS)
    root, ignored, shown = Path(path).expanduser(), _parse_ignored(options), parse_range(options.get("range"))
    if not is_folder(root):
        raise UserError(
            f"there is no folder {path!r}; masks:PATH holds images/ and masks/, or VOC's or Cityscapes' tree"
        )
    layout = _layout(root)
    form = MaskFormat(ignored, colors=layout.classes.colors if layout.classes else None)
    scanned, skipped = _scan(layout, form, skip_unreadable)
    form, classes = _class_ids(root, layout, form, scanned, explicit="ignore" in options)
    scanned["train"] = _rows(scanned["train"], pick(len(scanned["train"].files)))
    made = {split: _images(each, form, shown) for split, each in scanned.items()}
    notes = (*layout.notes, *_notes(scanned, form, classes, shown))
    return MaskedSourceData(
        made["train"], made.get("validation"), made["test"], classes, notes=notes, skipped=tuple(skipped)
    )


def _layout(root: Path) -> MaskLayout:
    known: tuple[tuple[Callable[[Path], bool], Callable[[Path], MaskLayout]], ...]
    known = ((is_voc, voc), (is_cityscapes, cityscapes))
    return next((read for fits, read in known if fits(root)), mask_folders)(root)


def _parse_ignored(options: Mapping[str, str]) -> int | None:
    text = options.get("ignore", str(IGNORED))
    if text != "none" and not (text.isascii() and text.isdecimal()):
        raise UserError(f"cannot read ?ignore={text}; write the id of pixels without a label, or ?ignore=none")
    return None if text == "none" else int(text)


def _scan(layout: MaskLayout, form: MaskFormat, skip: bool) -> tuple[dict[str, ScannedSplit], list[UnreadableImage]]:
    """Scan all splits; leave out unreadable rows if requested."""
    splits = {"train": layout.train, "validation": layout.validation, "test": layout.test}
    found, skipped = {}, list[UnreadableImage]()
    for split, files in splits.items():
        if files is None:
            continue
        scan, errors = scan_masks(files, form, whole=skip)
        if not skip:
            require_readable(errors.values())
        if len(errors) == len(files):
            raise UserError(f"none of the {len(files)} {split} images can be read: {in_words(list(errors.values()))}")
        skipped += errors.values()
        found[split] = _rows(ScannedSplit(files, scan), torch.tensor([k for k in range(len(files)) if k not in errors]))
    return found, skipped


def _rows(split: ScannedSplit, index: torch.Tensor) -> ScannedSplit:
    return ScannedSplit([split.files[k] for k in index.tolist()], split.scan.rows(index))


def _images(split: ScannedSplit, form: MaskFormat, shown: ValueRange | None) -> MaskedImages:
    return MaskedImages(MaskedFiles(split.files, split.scan.sizes, form, shown))


def _class_ids(
    root: Path, layout: MaskLayout, form: MaskFormat, scanned: Mapping[str, ScannedSplit], explicit: bool
) -> tuple[MaskFormat, tuple[str, ...]]:
    """Return how masks are read, and the class names; an ignored id among the classes is taken out of them.

    Raises `UserError` for an id without a class, and where there are fewer than two classes.
    """
    highest = max(scanned["train"].scan.highest)
    listed = layout.classes.names if layout.classes else None
    names = listed or tuple(f"class {k}" for k in range(highest + 1))
    if form.ignored == IGNORED and len(names) > IGNORED and not explicit:
        raise UserError(
            f"{str(root)!r} has {len(names)} classes, so {IGNORED} may be one of them; say by ?ignore=ID which id "
            "stands for pixels without a label, or ?ignore=none"
        )
    kept = tuple(name for k, name in enumerate(names) if k != form.ignored)
    _require_two(root, kept, form)
    _require_known(root, scanned, len(names), listed is not None)
    return form._replace(shifted=len(kept) < len(names)), kept


def _require_known(root: Path, scanned: Mapping[str, ScannedSplit], ids: int, listed: bool) -> None:
    for files, scan in scanned.values():
        for row, highest in enumerate(scan.highest):
            if highest >= ids:
                out = "correct the list of classes" if listed else f"list all classes in {root / 'classes.txt'}"
                raise UserError(
                    f"the mask {files[row].mask} has the id {highest}, but there are {ids} classes, 0 to {ids - 1}; "
                    f"{out}, or name the id of pixels without a label by ?ignore={highest}"
                )


def _require_two(root: Path, names: tuple[str, ...], form: MaskFormat) -> None:
    if len(names) < 2:
        ignored = "none is ignored" if form.ignored is None else f"{form.ignored} is ignored"
        raise UserError(
            f"the training masks of {str(root)!r} hold {len(names) or 'no'} class ({ignored}); two are needed. If "
            "their values are 0 and 255, list the classes with their colors in classes.txt: background 0 0 0, object "
            "255 255 255"
        )


def _notes(
    scanned: Mapping[str, ScannedSplit], form: MaskFormat, classes: tuple[str, ...], shown: ValueRange | None
) -> Iterator[str]:
    """Return sentences on properties that a user may not expect."""
    for files, _ in scanned.values():
        images = [each.image for each in files]
        yield from LazyImages(images, list(map(str, images)), None, shown=shown).notes()
    turned = [files[k].image for files, scan in scanned.values() for k, each in enumerate(scan.turned) if each]
    if turned:
        yield (
            f"{len(turned)} {'image is' if len(turned) == 1 else 'images are'} turned by EXIF orientation, such as "
            f"{turned[0]}; masks must have been drawn on the turned images"
        )
    if form.shifted:
        yield f"the id {form.ignored} is ignored, so it is no class, and ids above it move down by one"
    if absent := list(_absent(scanned["train"].scan, form, classes)):
        more = ", …" if len(absent) > NAMED else ""
        yield f"{len(absent)} of {len(classes)} classes have no training pixel: {', '.join(absent[:NAMED])}{more}"


def _absent(scan: MaskScan, form: MaskFormat, classes: tuple[str, ...]) -> Iterator[str]:
    """Names of classes without a training pixel."""
    ids = (k for k in count() if not (form.shifted and k == form.ignored))
    pixels = dict(enumerate(scan.total().tolist()))
    yield from (name for k, name in zip(ids, classes, strict=False) if not pixels.get(k))
