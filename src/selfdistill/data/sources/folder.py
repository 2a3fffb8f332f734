"""Class folders of images, and the layouts of CINIC-10 and Tiny-ImageNet-200."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.file_paths import FilePaths
from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.rgb import ValueRange
from selfdistill.data.row_views import Mapped
from selfdistill.data.sources.class_files import ClassFiles, files_by_class, kept_note
from selfdistill.data.sources.class_titles import read_titles, titled, usual_titles
from selfdistill.data.sources.folder_layout import (
    SPLITS,
    FolderLayout,
    LabelledFiles,
    require_train,
    split_folders,
)
from selfdistill.data.sources.image_files import describe_left_out
from selfdistill.data.sources.options import parse_range, split_options
from selfdistill.data.sources.skipped_classes import background_note, parse_skip, require_skippable
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.sources.tiny_imagenet import is_tiny_imagenet, tiny_imagenet
from selfdistill.data.subsets import draw_test, drawn_note, require_undrawn
from selfdistill.errors import UserError
from selfdistill.files import is_folder

OPTIONS = {"classes": "top or leaf", "skip": "CLASS or CLASS,CLASS", "names": "FILE", "range": "BLACK..WHITE"}
LEVELS = (None, "top", "leaf")  # the folders in a split, those that hold images, or the first where both are the same


class ClassChoice(NamedTuple):
    """Choice of the folders that are classes: their level, and the names of those to skip."""

    level: str | None
    skip: tuple[str, ...] = ()


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `folder:PATH`, with options such as `folder:PATH?classes=leaf`."""
    path, options = split_options(argument, OPTIONS)
    root, level, shown = Path(path).expanduser(), options.get("classes"), parse_range(options.get("range"))
    if level not in LEVELS:
        raise UserError(f"cannot read ?classes={level}; write ?classes=top or ?classes=leaf")
    if not is_folder(root):
        raise UserError(f"there is no folder {path!r}; folder:PATH holds train/CLASS/ and test/CLASS/ images")
    layout = _layout(root, ClassChoice(level, parse_skip(options.get("skip"))), test)
    titles = read_titles(options["names"], root) if "names" in options else usual_titles(root)
    classes = titled(layout.classes, titles, repr(path))
    chosen = pick(torch.tensor(layout.train.labels, dtype=torch.long), classes)
    held = None if layout.validation is None else _images(layout.validation, size, shown)
    return SourceData(
        _images(layout.train.rows(chosen), size, shown),
        held,
        _images(layout.test, size, shown),
        classes,
        notes=(
            *layout.notes(),
            *_skip_notes(options, layout, path),
            *filter(None, [kept_note(repr(path), len(layout.train.files))]),
        ),
    )


def _skip_notes(options: Mapping[str, str], layout: FolderLayout, path: str) -> tuple[str, ...]:
    if skipped := parse_skip(options.get("skip")):
        return (f"left out the class folders {', '.join(skipped)} of {path}, as ?skip asks",)
    return background_note(path, layout.classes)


def _layout(root: Path, choice: ClassChoice, test: TestPart) -> FolderLayout:
    known = choice.level is None and is_tiny_imagenet(root)
    if known and choice.skip:
        raise UserError(f"?skip is for class folders, and {str(root)!r} has a list of its classes; leave it out")
    require_undrawn(bool(test) and (known or "test" in split_folders(root)), repr(str(root)), test)
    if known:
        return tiny_imagenet(root)
    return _drawn(root, choice, test) if test else _class_folders(root, choice)


def _drawn(root: Path, choice: ClassChoice, part: TestPart) -> FolderLayout:
    """Draw the test images from those of train, or of class folders without one."""
    splits = split_folders(root)
    base = require_train(root, splits) if splits else root
    found = _train_files(base, choice)
    _require_images(base, found)
    number = {name: k for k, name in enumerate(sorted(found.classes))}
    whole = _numbered(base, found, number)
    if not whole.files:
        raise UserError(f"{str(base)!r} has no class folders with images; put the images of each class into a folder")
    train, test = draw_test(torch.tensor(whole.labels), part)
    held = _split(splits["validation"], choice, number) if "validation" in splits else None
    note = drawn_note(repr(str(base)), len(test), len(whole.files), part)
    tested = whole.rows(test)._replace(left_out=(), unlabelled=())
    return FolderLayout(root, whole.rows(train), held, tested, tuple(number), drawn=note)


def _images(split: LabelledFiles, size: int | None, shown: ValueRange | None) -> Images:
    if not split.files and split.unlabelled:
        raise UserError(
            f"the {len(split.unlabelled)} images in {str(split.folder)!r} lie in no class folder, so they have no "
            "labels; sort them into class folders, or move the folder away: without a test folder, the validation "
            "images are tested on"
        )
    if not split.files:
        raise UserError(
            f"there are no images in {str(split.folder)!r}{describe_left_out(split.left_out)}; add some, or remove "
            "the folder"
        )
    names = Mapped(str, split.files)
    return Images(LazyImages(split.files, names, size, shown=shown), torch.tensor(split.labels))


def _class_folders(root: Path, choice: ClassChoice) -> FolderLayout:
    splits = split_folders(root)
    train = _train_files(require_train(root, splits), choice)
    if not splits.keys() & {"validation", "test"}:
        raise UserError(
            f"{str(root)!r} has no test folder next to {splits['train'].name}, nor {', '.join(SPLITS['validation'])}; "
            "move some images there, or hold out a share of the training images by --test 0.2"
        )
    _require_images(splits["train"], train)
    number = {name: k for k, name in enumerate(sorted(train.classes))}
    test = splits.get("test", splits.get("validation", root))
    held = splits.get("validation") if "test" in splits else None
    return FolderLayout(
        root,
        _numbered(splits["train"], train, number),
        _split(held, choice, number) if held else None,
        _split(test, choice, number),
        tuple(number),
    )


def _train_files(folder: Path, choice: ClassChoice) -> ClassFiles:
    """Files of the training classes. Raises `UserError` for a class to skip that is not there."""
    found = files_by_class(folder, choice.level)
    require_skippable(choice.skip, found.classes, str(folder))
    return _without_skipped(found, choice)


def _without_skipped(found: ClassFiles, choice: ClassChoice) -> ClassFiles:
    return found._replace(classes={name: each for name, each in found.classes.items() if name not in choice.skip})


def _split(folder: Path, choice: ClassChoice, number: Mapping[str, int]) -> LabelledFiles:
    found = _without_skipped(files_by_class(folder, choice.level), choice)
    if strange := sorted(found.classes.keys() - number.keys()):
        raise UserError(
            f"{str(folder / strange[0])!r} is a class that train does not have; add training images or remove it"
        )
    return _numbered(folder, found, number)


def _numbered(folder: Path, found: ClassFiles, number: Mapping[str, int]) -> LabelledFiles:
    numbers = {name: k for name, k in number.items() if name in found.classes}
    files = [found.classes[name] for name in numbers]
    labels = np.repeat([*numbers.values()], [len(each) for each in files])
    return LabelledFiles(folder, FilePaths.joined(files), labels.tolist(), found.left_out, found.unlabelled)


def _require_images(folder: Path, train: ClassFiles) -> None:
    """Raise `UserError` for a class whose files are all of a kind that is not read."""
    for name in (name for name, files in train.classes.items() if not files):
        others = [file for file in train.left_out if file.is_relative_to(folder / name)]
        if others:
            raise UserError(
                f"{str(folder / name)!r} has no image that Pillow reads{describe_left_out(others)}; convert them, "
                "or remove the class"
            )
