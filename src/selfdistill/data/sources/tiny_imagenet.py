"""Folders of Tiny-ImageNet-200: wnids.txt, train/WNID/images and an annotated validation set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from selfdistill.data.sources.folder_layout import FolderLayout, LabelledFiles, labelled, require_train, split_folders
from selfdistill.data.sources.image_files import find_images, folders
from selfdistill.errors import UserError
from selfdistill.files import is_file

IDS, WORDS, ANNOTATIONS, BOXES = "wnids.txt", "words.txt", "val_annotations.txt", "_boxes.txt"


def is_tiny_imagenet(root: Path) -> bool:
    """Detect the layout by its list of classes."""
    return is_file(root / IDS)


def tiny_imagenet(root: Path) -> FolderLayout:
    """Read the layout; the validation set is the test set, as the test images have no labels."""
    ids = (root / IDS).read_text().split()
    number, splits = {each: k for k, each in enumerate(ids)}, split_folders(root)
    train = _train_files(require_train(root, splits), number)
    if "validation" not in splits:
        raise UserError(f"{str(root)!r} has no val folder though {IDS} is there; unpack Tiny-ImageNet-200 again")
    test = _annotated_files(splits["validation"], number)
    return FolderLayout(root, train, None, test, _class_words(root, ids), unread=("test",))


def _train_files(folder: Path, number: Mapping[str, int]) -> LabelledFiles:
    found = {each: find_images(folder / each) for each in {*number, *folders(folder)}}
    pairs = [(file, k) for each, k in number.items() for file in found[each].images]
    strange = [file for each in sorted(found.keys() - number.keys()) for file in found[each].images]
    left_out = [file for each in number for file in found[each].left_out if not file.name.endswith(BOXES)]
    return labelled(folder, pairs, left_out, strange)


def _annotated_files(folder: Path, number: Mapping[str, int]) -> LabelledFiles:
    """Images with their classes in val_annotations.txt (lines of FILE, CLASS, box)."""
    notes = folder / ANNOTATIONS
    if not is_file(notes):
        raise UserError(f"{str(notes)!r} is missing though {IDS} is there; unpack Tiny-ImageNet-200 again")
    rows = [line.split("\t") for line in notes.read_text().splitlines() if line]
    for line, row in enumerate(rows, start=1):
        if len(row) < 2 or row[1] not in number:
            raise UserError(f"line {line} of {str(notes)!r} names no class of {IDS}: {' '.join(row[:2])}")
    pairs = [(folder / "images" / row[0], number[row[1]]) for row in rows]
    found, known = find_images(folder), {file for file, _ in pairs}
    left_out = [file for file in found.left_out if file != notes]
    return labelled(folder, pairs, left_out, [file for file in found.images if file not in known])


def _class_words(root: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Class names from words.txt, or the ids."""
    if not is_file(root / WORDS):
        return tuple(ids)
    lines = (root / WORDS).read_text().splitlines()
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return tuple(words.get(each, each) for each in ids)
