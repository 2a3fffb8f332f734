"""Class folders of images, and the layouts of CINIC-10 and Tiny-ImageNet-200."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".gif"}
VALIDATION = ("val", "valid", "validation")  # CINIC-10 says "valid"


class Files(NamedTuple):
    """Image files of a split and their class ids."""

    folder: Path
    files: list[Path]
    labels: list[int]


class FolderLayout(NamedTuple):
    """Image files of a data set by split."""

    train: Files
    validation: Files | None
    test: Files
    classes: tuple[str, ...]


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Read `folder:PATH`."""
    root = Path(argument).expanduser()
    if not root.is_dir():
        raise UserError(f"there is no folder {argument!r}; folder:PATH holds train/CLASS/ and test/CLASS/ images")
    layout = _tiny_imagenet(root) if (root / "wnids.txt").exists() else _class_folders(root)
    chosen = pick(torch.tensor(layout.train.labels, dtype=torch.long), layout.classes).tolist()
    train = Files(layout.train.folder, *([each[k] for k in chosen] for each in layout.train[1:]))
    held = None if layout.validation is None else _images(layout.validation, size)
    return SourceData(_images(train, size), held, _images(layout.test, size), layout.classes)


def _images(split: Files, size: int | None) -> Images:
    if not split.files:
        raise UserError(f"there are no images in {str(split.folder)!r}; add some, or remove the folder")
    return Images(LazyImages(split.files, [str(each) for each in split.files], size), torch.tensor(split.labels))


def _class_folders(root: Path) -> FolderLayout:
    train = _require_folder(root, "train")
    held = next((root / each for each in VALIDATION if (root / each).is_dir()), None)
    test = root / "test" if (root / "test").is_dir() else held
    if test is None:
        raise UserError(
            f"{str(root)!r} has no test folder beside train, nor {', '.join(VALIDATION)}; move some images there"
        )
    classes = tuple(_folders(train))
    validation = _split(held, classes) if held and held != test else None
    return FolderLayout(_split(train, classes), validation, _split(test, classes), classes)


def _split(folder: Path, classes: Sequence[str]) -> Files:
    if strange := sorted(set(_folders(folder)) - set(classes)):
        raise UserError(
            f"{str(folder / strange[0])!r} is a class that train does not have; add training images or remove it"
        )
    return _files(folder, [(file, k) for k, name in enumerate(classes) for file in _image_files(folder / name)])


def _tiny_imagenet(root: Path) -> FolderLayout:
    """Layout of Tiny-ImageNet-200; its validation set is the test set, as its test images have no labels."""
    ids = (root / "wnids.txt").read_text().split()
    number = {each: k for k, each in enumerate(ids)}
    folder = _require_folder(root, "train")
    train = [(file, k) for each, k in number.items() for file in _image_files(folder / each)]
    return FolderLayout(
        _files(folder, train), None, _annotated_files(_require_folder(root, "val"), number), _class_words(root, ids)
    )


def _annotated_files(folder: Path, number: dict[str, int]) -> Files:
    """Images with their classes in val_annotations.txt (lines of FILE, CLASS, box)."""
    notes = folder / "val_annotations.txt"
    if not notes.exists():
        raise UserError(f"{str(notes)!r} is missing though wnids.txt is there; unpack Tiny-ImageNet-200 again")
    rows = [line.split("\t") for line in notes.read_text().splitlines() if line]
    for line, row in enumerate(rows, start=1):
        if len(row) < 2 or row[1] not in number:
            raise UserError(f"line {line} of {str(notes)!r} names no class of wnids.txt: {' '.join(row[:2])}")
    return _files(folder, [(folder / "images" / row[0], number[row[1]]) for row in rows])


def _class_words(root: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Class names from words.txt, or the ids."""
    if not (root / "words.txt").exists():
        return tuple(ids)
    lines = (root / "words.txt").read_text().splitlines()
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return tuple(words.get(each, each) for each in ids)


def _require_folder(root: Path, split: str) -> Path:
    if not (root / split).is_dir():
        there = ", ".join(_folders(root)[:5]) or "no folders"
        raise UserError(
            f"{str(root)!r} has no {split} folder, it holds {there}; put the class folders into train, and "
            f"some images of each into test or {', '.join(VALIDATION)}"
        )
    return root / split


def _folders(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    """Image files anywhere below a folder, sorted; empty if it is missing."""
    images = (each for each in folder.rglob("*") if each.suffix.lower() in ENDINGS)
    return sorted(each for each in images if not each.name.startswith("."))


def _files(folder: Path, pairs: Sequence[tuple[Path, int]]) -> Files:
    return Files(folder, [file for file, _ in pairs], [label for _, label in pairs])
