"""Images named by lists such as train.txt and test.txt, whose classes are folders or follow the paths."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.sources.class_titles import read_titles, titled
from selfdistill.data.sources.list_files import ListLine, find_lists, list_options, read_lines, root_of
from selfdistill.data.sources.listed_images import ListedImage, ListedSplits, class_of_cell, require_files
from selfdistill.data.sources.listed_path import file_of_cell
from selfdistill.data.sources.options import parse_range
from selfdistill.data.sources.skipped_classes import background_note, parse_skip, require_skippable
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError

MISSING = "correct the paths, or name the folder in which they begin by ?root=FOLDER"


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `list:PATH`, a folder with train.txt and test.txt or one list, with options such as `?label=1`."""
    path, options = list_options(argument)
    lines = {split: read_lines(each) for split, each in find_lists(path).items()}
    root = root_of(path, lines["train"], options)
    labels = {split: _labels(each, options) for split, each in lines.items()}
    rows = {split: _rows(each, labels[split], root, options) for split, each in lines.items()}
    rows, notes = _without_skipped(rows, options, str(path))
    require_files([each for split in rows.values() for each in split], repr(str(path)), root, MISSING)
    folder = path if path.is_dir() else path.parent
    titles = read_titles(options["names"], folder) if "names" in options else {}
    named = partial(titled, titles=titles, where=repr(str(path)))
    splits = ListedSplits(repr(str(path)), rows, named, notes)
    return splits.read(pick, size, parse_range(options.get("range")), test)


def _rows(
    lines: Sequence[ListLine], labels: Sequence[str], root: Path, options: Mapping[str, str]
) -> list[ListedImage]:
    group = _column("group", options, lines) if "group" in options else None
    return [
        ListedImage(file_of_cell(root, line.path), label, line.place, None if group is None else line.cells[group])
        for line, label in zip(lines, labels, strict=True)
    ]


def _labels(lines: Sequence[ListLine], options: Mapping[str, str]) -> list[str]:
    """Classes of lines: the only label after the path, that of `?label`, or the folder of the image."""
    count = len(lines[0].cells)
    if not count and "label" not in options:
        return _folders(lines, options.get("classes"))
    if "classes" in options:
        raise UserError("?classes chooses folders, but labels follow the paths of this list; leave it out")
    if count > 1 and "label" not in options:
        raise UserError(
            f"{lines[0].place} has {count} labels, {', '.join(lines[0].cells)}; choose one by ?label=NUMBER, from 1 to "
            f"{count}"
        )
    place = _column("label", options, lines)
    return [class_of_cell(each.cells[place], each.place) for each in lines]


def _column(option: str, options: Mapping[str, str], lines: Sequence[ListLine]) -> int:
    """Place of the label of `?label=NUMBER`, counted from 1 after the path."""
    text, count = options.get(option, "1"), len(lines[0].cells)
    if not text.isdecimal() or not 1 <= int(text) <= count:
        raise UserError(f"cannot read ?{option}={text}; {lines[0].place} has {count} labels, counted from 1")
    return int(text) - 1


def _folders(lines: Sequence[ListLine], level: str | None) -> list[str]:
    """Classes by the folders in the paths. Raises `UserError` where the outer and the inner one differ."""
    parents = [PureWindowsPath(each.path).parent for each in lines]  # which reads both separators
    if level not in (None, "top", "leaf"):
        raise UserError(f"cannot read ?classes={level}; write ?classes=top or ?classes=leaf")
    for line, parent in zip(lines, parents, strict=True):
        if not parent.parts:
            raise UserError(f"{line.place} has neither a folder nor a label; write a label after each path")
        if level is None and len(parent.parts) > 1:
            raise UserError(
                f"{line.place} lies in {parent.as_posix()}, so its class may be {parent.parts[0]} or "
                f"{parent.as_posix()}; add ?classes=leaf to --data to make every folder of images a class, or "
                "?classes=top for the outer folders alone"
            )
    return [each.parts[0] if level == "top" else each.as_posix() for each in parents]


def _without_skipped(
    rows: Mapping[str, list[ListedImage]], options: Mapping[str, str], where: str
) -> tuple[dict[str, list[ListedImage]], tuple[str, ...]]:
    """Leave out the classes of `?skip`, and return a sentence on them. Raises `UserError` for one that is not there."""
    there = {each.label for split in rows.values() for each in split}
    skipped = parse_skip(options.get("skip"))
    require_skippable(skipped, there, where)
    if not skipped:
        return dict(rows), background_note(where, there)
    kept = {split: [each for each in found if each.label not in skipped] for split, found in rows.items()}
    if empty := next((split for split, each in kept.items() if not each), None):
        raise UserError(f"?skip={options['skip']} leaves no {empty} image of {where!r}; skip fewer classes")
    count = sum(map(len, rows.values())) - sum(map(len, kept.values()))
    return kept, (f"left out {count} images of {', '.join(skipped)} of {where}, as ?skip asks",)
