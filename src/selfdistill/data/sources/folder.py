"""Folders of images, a folder a class; also CINIC-10's and Tiny-ImageNet-200's own layouts."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from selfdistill.data.decode import decode
from selfdistill.data.images import Images
from selfdistill.data.sources import Pick, Raw
from selfdistill.errors import UserError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".gif"}
VALIDATION = ("val", "valid", "validation")


class Listed(NamedTuple):
    """The files of a split and the class of each."""

    files: list[Path]
    labels: list[int]


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read `folder:PATH`."""
    root = Path(argument).expanduser()
    if not argument or not root.is_dir():
        raise UserError(f"there is no folder {argument!r}; folder:PATH is one that holds train/CLASS/IMAGE files")
    if (root / "wnids.txt").exists():
        return _tiny_imagenet(root, pick, size)
    train = _require(root, "train")
    classes = tuple(sorted(each.name for each in train.iterdir() if each.is_dir()))
    held = next((root / each for each in VALIDATION if (root / each).is_dir()), None)
    test = root / "test" if (root / "test").is_dir() else held
    if test is None:
        raise UserError(f"{argument!r} has no test and no val folder beside train; make one, or move images there")
    validation = _list(held, classes) if held and held != test else None
    return _assemble(_list(train, classes), validation, _list(test, classes), classes, pick, size)


def _tiny_imagenet(root: Path, pick: Pick, size: int | None) -> Raw:
    """Tiny-ImageNet-200: its test set has no labels, so its validation set is the test set."""
    ids = (root / "wnids.txt").read_text().split()
    number = {each: k for k, each in enumerate(ids)}
    train = [(file, k) for each, k in number.items() for file in _files(root / "train" / each)]
    notes = _require(root, "val") / "val_annotations.txt"
    if not notes.exists():
        raise UserError(f"{str(root)!r} has wnids.txt but no val/val_annotations.txt; unpack Tiny-ImageNet-200 again")
    rows = [line.split("\t") for line in notes.read_text().splitlines() if line]
    if unknown := [row[1] for row in rows if row[1] not in number]:
        raise UserError(f"val_annotations.txt names the class {unknown[0]!r}, which wnids.txt does not list")
    test = [(root / "val" / "images" / row[0], number[row[1]]) for row in rows]
    return _assemble(_listed(train), None, _listed(test), _words(root, ids), pick, size)


def _words(root: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """The classes' names in words.txt, or their ids."""
    if not (root / "words.txt").exists():
        return tuple(ids)
    lines = (line.split("\t") for line in (root / "words.txt").read_text().splitlines() if "\t" in line)
    words = {line[0]: line[1] for line in lines}
    return tuple(words.get(each, each) for each in ids)


def _require(root: Path, split: str) -> Path:
    if not (root / split).is_dir():
        there = ", ".join(sorted(each.name for each in root.iterdir() if each.is_dir())[:5]) or "no folders"
        raise UserError(
            f"{str(root)!r} has no {split} folder, it holds {there}; put the class folders in train/ and in "
            "test/ or val/"
        )
    return root / split


def _list(folder: Path, classes: Sequence[str]) -> Listed:
    there = {each.name for each in folder.iterdir() if each.is_dir()}
    if strange := sorted(there - set(classes)):
        raise UserError(f"{folder.name}/ has a class {strange[0]!r} that train/ has not; add images or remove it")
    return _listed([(file, k) for k, name in enumerate(classes) for file in _files(folder / name)])


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.suffix.lower() in ENDINGS) if folder.is_dir() else []


def _listed(pairs: Sequence[tuple[Path, int]]) -> Listed:
    return Listed([file for file, _ in pairs], [label for _, label in pairs])


def _assemble(
    train: Listed,
    validation: Listed | None,
    test: Listed,
    classes: tuple[str, ...],
    pick: Pick,
    size: int | None,
) -> Raw:
    chosen = pick(torch.tensor(train.labels, dtype=torch.long)).tolist()
    train = Listed([train.files[k] for k in chosen], [train.labels[k] for k in chosen])
    held = None if validation is None else _images(validation, size)
    return Raw(_images(train, size), held, _images(test, size), classes)


def _images(listed: Listed, size: int | None) -> Images:
    pixels = decode(listed.files, lambda row: str(listed.files[row]) if listed.files else "a split", size)
    return Images(pixels, torch.tensor(listed.labels))
