"""Images that lists name, one class each: made to the splits of a data set."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.rgb import ValueRange
from selfdistill.data.sources.class_labels import natural_order
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.subsets import draw_test, drawn_note, require_undrawn
from selfdistill.errors import UserError

NUMBER = re.compile(r"[+-]?\d*\.?\d+(?:e[+-]?\d+)?|[+-]?\d+\.", re.IGNORECASE)
NAMED = 3  # images that a message names


class ListedImage(NamedTuple):
    """Image file of a list, its class, and its place in messages."""

    file: Path
    label: str
    place: str
    group: str | None = None


@dataclass(frozen=True)
class ListedSplits:
    """Images of lists by split: train, and of validation and test those that there are."""

    where: str  # in messages
    rows: Mapping[str, Sequence[ListedImage]]
    titles: Callable[[Sequence[str]], Sequence[str]] = tuple  # names of classes
    notes: tuple[str, ...] = ()

    def read(self, pick: PickRows, size: int | None, shown: ValueRange | None, test: TestPart) -> SourceData:
        """Make the splits; `test` is the part of the training images that is drawn as test images.

        Classes are those of the training images, sorted, numbers by value. Raises `UserError` where there is no test
        image, where there are and others are asked for, and for a class without a training image.
        """
        rows, notes = self._with_test(test)
        classes = tuple(sorted({each.label for each in rows["train"]}, key=natural_order))
        labels = {split: self._labels(each, classes) for split, each in rows.items()}
        chosen = pick(labels["train"], tuple(self.titles(classes)))
        groups = number_groups(rows["train"])

        def images(split: str, places: Tensor | None = None) -> Images:
            each = range(len(rows[split])) if places is None else places.tolist()
            files = [rows[split][k].file for k in each]
            found = labels[split] if places is None else labels[split][places]
            return Images(LazyImages(files, list(map(str, files)), size, shown=shown), found)

        held = images("validation") if {"validation", "test"} <= rows.keys() else None
        tested = images("test" if "test" in rows else "validation")
        notes += (*self.notes, *doubled_note(self.where, rows))
        kept = None if groups is None else groups[chosen]
        return SourceData(images("train", chosen), held, tested, tuple(self.titles(classes)), notes=notes, groups=kept)

    def _with_test(self, part: TestPart) -> tuple[dict[str, Sequence[ListedImage]], tuple[str, ...]]:
        rows = dict(self.rows)
        if not part:
            if len(rows) < 2:
                raise UserError(f"{self.where} has no test images; hold out a share of its images by --test 0.2")
            return rows, ()
        require_undrawn("test" in rows, self.where, part)
        train = rows["train"]
        places = {label: k for k, label in enumerate(dict.fromkeys(each.label for each in train))}
        strata = torch.tensor([places[each.label] for each in train])
        kept, drawn = draw_test(strata, part, number_groups(train))
        rows |= {"train": [train[k] for k in kept.tolist()], "test": [train[k] for k in drawn.tolist()]}
        return rows, (drawn_note(self.where, len(drawn), len(train), part),)

    def _labels(self, rows: Sequence[ListedImage], classes: Sequence[str]) -> Tensor:
        places = {name: k for k, name in enumerate(classes)}
        for each in rows:
            if each.label not in places:
                raise UserError(
                    f"{each.place} has the class {each.label!r}, which no training image has; add some, or correct it"
                )
        return torch.tensor([places[each.label] for each in rows], dtype=torch.long)


def class_of_cell(cell: str, place: str) -> str:
    """Return the class of a label: a name, or a whole number, as which 1.0 is 1.

    Raises `UserError` for other numbers, and for -1, an image without a label.

    >>> class_of_cell("1.0", "line 1"), class_of_cell("01", "line 1")
    ('1', '01')
    """
    if not NUMBER.fullmatch(cell) or cell.isdecimal():
        return cell
    if float(cell) < 0 or not float(cell).is_integer():
        raise UserError(f"{place} has the label {cell}, but classes are whole numbers from 0, or names; correct it")
    return str(int(float(cell)))


def require_files(rows: Sequence[ListedImage], where: str, root: Path, way_out: str) -> None:
    """Raise `UserError` with the count and the first of all files that are missing."""
    if missing := [each for each in rows if not os.path.isfile(each.file)]:
        shown = ", ".join(f"{os.path.relpath(each.file, root)!r} in {each.place}" for each in missing[:NAMED])
        more = ", …" if len(missing) > NAMED else ""
        raise UserError(
            f"{len(missing)} of the {len(rows)} images of {where} do not exist in {str(root)!r}: {shown}{more}; "
            f"{way_out}"
        )


def number_groups(rows: Sequence[ListedImage]) -> Tensor | None:
    """Number the groups of images in the order of their first rows; None without groups. -> [N]."""
    if rows[0].group is None:
        return None
    places = {each: k for k, each in enumerate(dict.fromkeys(row.group for row in rows))}
    return torch.tensor([places[row.group] for row in rows])


def doubled_note(where: str, rows: Mapping[str, Sequence[ListedImage]]) -> Iterator[str]:
    """Yield a sentence on images that are listed more than once."""
    places: dict[str, list[tuple[str, ListedImage]]] = {}
    for split, each in rows.items():
        for row in each:
            places.setdefault(os.path.normpath(row.file), []).append((split, row))
    doubled = [each for each in places.values() if len(each) > 1]
    across = [each for each in doubled if len({split for split, _ in each}) > 1]
    if doubled:
        (_, first), (_, second), *_ = (across or doubled)[0]
        yield (
            f"{len(doubled)} images of {where} are listed more than once, {len(across)} of them in several splits, "
            f"such as {first.file.name} in {first.place} and {second.place}"
        )
