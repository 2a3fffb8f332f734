"""Lists of image files with their labels, as train.txt and test.txt, and the options by which they are read."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.sources.folder_layout import SPLIT_WORDS, SPLITS
from selfdistill.data.sources.image_files import folders, image_endings
from selfdistill.data.sources.listed_path import file_of_cell
from selfdistill.data.sources.options import split_options
from selfdistill.errors import UserError
from selfdistill.files import is_file, is_folder, read_text
from selfdistill.task import CLASSIFY, TaskName

OPTIONS = {
    "label": "NUMBER",
    "classes": "top or leaf",
    "skip": "CLASS or CLASS,CLASS",
    "names": "FILE or FILE,COLUMN,COLUMN",
    "group": "NUMBER",
    "root": "FOLDER",
    "range": "BLACK..WHITE",
}
ENDINGS = (".txt", ".lst", ".list")
SEPARATORS = re.compile(r"\s*[,;\t]\s*")
BYTE_ORDER_MARK = "\ufeff"


class ListLine(NamedTuple):
    """Line of a list: the path of an image as it is written, and what follows it."""

    path: str
    cells: tuple[str, ...]
    place: str  # in messages


def task(argument: str) -> TaskName:
    """Task of `list:PATH`: one class for each image."""
    list_options(argument)
    return CLASSIFY


def files(argument: str) -> list[Path]:
    """Return the lists and the images that they name, without those that are missing."""
    path, options = list_options(argument)
    lists = find_lists(path)
    lines = [line for each in lists.values() for line in read_lines(each)]
    root = root_of(path, lines, options)
    named = (file_of_cell(root, line.path) for line in lines)
    return [*lists.values(), *dict.fromkeys(each for each in named if os.path.isfile(each))]


def list_options(argument: str) -> tuple[Path, dict[str, str]]:
    """Split an argument into the path of a list, or of the folder with the lists, and the options."""
    path, options = split_options(argument, OPTIONS)
    return Path(path).expanduser(), options


def find_lists(path: Path) -> dict[str, Path]:
    """Return the list of each split: a file is that of training. Raises `UserError` for two lists of one split."""
    if is_file(path):
        return {"train": path}
    if not is_folder(path):
        raise UserError(f"there is no {str(path)!r}; list:PATH is a folder with train.txt and test.txt, or one list")
    found: dict[str, Path] = {}
    for each in sorted(path.iterdir()):
        split = SPLIT_WORDS.get(each.stem.lower())
        if split is None or each.suffix.lower() not in ENDINGS or not is_file(each):
            continue
        if split in found:
            raise UserError(f"{found[split].name} and {each.name} in {str(path)!r} both list {split} images; move one")
        found[split] = each
    if "train" not in found:
        there = ", ".join(each.name for each in found.values()) or "no list"
        raise UserError(
            f"{str(path)!r} has no train.txt, but {there}; name the folder of the lists, or one list with all images"
        )
    return {split: found[split] for split in SPLITS if split in found}


def read_lines(path: Path) -> list[ListLine]:
    """Read a list in UTF-8; empty lines are left out. Raises `UserError` for a line without an image file.

    A path ends with the ending of an image format. After it come labels, separated by commas, tabs, semicolons or
    blanks. Raises `UserError` for lines of different numbers of labels, too.
    """
    text = (read_text(path) or "").removeprefix(BYTE_ORDER_MARK)
    lines = [_line(each, f"line {k} of {str(path)!r}") for k, each in _filled(text)]
    if not lines:
        raise UserError(f"{str(path)!r} is empty; write a path and a label in each line")
    for each in lines:
        if len(each.cells) != len(lines[0].cells):
            raise UserError(
                f"{each.place} has {len(each.cells)} labels, but the first one {len(lines[0].cells)}; correct it"
            )
    return lines


def root_of(path: Path, lines: Sequence[ListLine], options: Mapping[str, str]) -> Path:
    """Return the folder in which paths begin: `?root`, that of the lists, or its only folder with the first image."""
    if "root" in options:
        root = Path(options["root"]).expanduser()
        if not is_folder(root):
            raise UserError(f"there is no folder {str(root)!r}; name the folder of the images by ?root=FOLDER")
        return root
    base = path if is_folder(path) else path.parent
    if os.path.isfile(file_of_cell(base, lines[0].path)):
        return base
    inner = [each for each in folders(base) if os.path.isfile(file_of_cell(base / each, lines[0].path))]
    if len(inner) > 1:
        raise UserError(
            f"{' and '.join(inner)} both have {lines[0].path!r} of {lines[0].place}; choose by ?root=FOLDER"
        )
    return base / inner[0] if inner else base


def _filled(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with their numbers."""
    yield from ((k, each.strip()) for k, each in enumerate(text.splitlines(), start=1) if each.strip())


def _line(text: str, place: str) -> ListLine:
    """Split a line after the last ending of an image format."""
    for found in reversed([*re.finditer(r"\.[A-Za-z0-9]+(?=[\"']?(?:[\s,;]|$))", text)]):
        if found[0].lower() in image_endings():
            end = found.end()
            return ListLine(text[:end].strip("\"' "), _cells(text[end:].lstrip("\"'")), place)
    raise UserError(
        f"{place} names no image file: {text[:80]!r}; a line is a path with the ending of an image format, then labels"
    )


def _cells(rest: str) -> tuple[str, ...]:
    """Labels after a path: between commas, tabs or semicolons, or blanks where there are none of these."""
    rest = rest.strip(" ")
    first = re.match(r"\s*[,;\t]\s*", rest)
    parts = SEPARATORS.split(rest[first.end() :]) if first else SEPARATORS.split(rest)
    cells = rest.split() if not first and len(parts) == 1 else parts
    return tuple(cell for each in cells if (cell := each.strip("\"' \t")))
