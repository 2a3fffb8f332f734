"""Labels in the columns of a text table: a class for each row, or tags."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.data.sources.class_labels import Label, LabelColumn, class_names, natural_order
from selfdistill.data.sources.csv_table import CsvTable
from selfdistill.errors import UserError

WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))(?:\.0*)?")  # a number as a spreadsheet or pandas writes it; 01 is a name
TAGS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "": float(IGNORED)}
SEPARATOR = "|"
NUMBER, FRACTION = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)"), re.compile(r"[+-]?\d*\.\d*[1-9]\d*")


class RowLabels(Protocol):
    """Labels of all rows of a table."""

    def missing(self) -> list[int]:
        """Rows without any label."""
        ...

    def strata(self) -> Tensor:
        """Labels [N] by which rows are drawn, in equal shares of each; [N, 1] to draw uniformly."""
        ...

    def names(self, train: Sequence[int]) -> tuple[str, ...]:
        """Classes or tags of the training rows."""
        ...

    def values(self, rows: Sequence[int], names: Sequence[str]) -> Tensor:
        """Labels of rows. -> [M] int64, or [M, T] float32 of 1, 0 and -100. Raises `UserError` for an unknown one."""
        ...


@dataclass(frozen=True)
class ClassLabels:
    """One class for each row: whole numbers, or names."""

    table: CsvTable
    column: str
    labels: list[Label]

    def missing(self) -> list[int]:
        """Rows whose cell is empty or -1."""
        return [row for row, each in enumerate(self.labels) if each in (None, -1, "-1")]

    def strata(self) -> Tensor:
        """Number of each row's class, in the order of the first rows. -> [N]."""
        places = {each: k for k, each in enumerate(dict.fromkeys(self.labels))}
        return torch.tensor([places[each] for each in self.labels])

    def names(self, train: Sequence[int]) -> tuple[str, ...]:
        """Sorted names, or the numbers up to the highest."""
        found = LabelColumn(str(self.table.path), [self.labels[row] for row in train], None)
        return class_names([found], self.column, repr(str(self.table.path)))

    def values(self, rows: Sequence[int], names: Sequence[str]) -> Tensor:
        """Class ids. -> [M] int64."""
        places = {name: k for k, name in enumerate(names)}
        for row in rows:
            if str(self.labels[row]) not in places:
                raise UserError(
                    f"{self.table.at(row)} has the class {self.labels[row]!r}, which no training row has; add training "
                    "rows, or correct it"
                )
        return torch.tensor([places[str(self.labels[row])] for row in rows], dtype=torch.long)


@dataclass(frozen=True)
class TagColumns:
    """One column for each tag, of 1, 0 and empty cells."""

    columns: tuple[str, ...]
    tags: Tensor  # [N, T] float32

    def missing(self) -> list[int]:
        """Rows whose tags are all unknown."""
        rows: list[int] = (self.tags == IGNORED).all(dim=1).nonzero().flatten().tolist()
        return rows

    def strata(self) -> Tensor:
        """Tags, by which rows are drawn uniformly. -> [N, T]."""
        return self.tags

    def names(self, train: Sequence[int]) -> tuple[str, ...]:
        """Names of the columns."""
        return self.columns

    def values(self, rows: Sequence[int], names: Sequence[str]) -> Tensor:
        """Tags. -> [M, T]."""
        return self.tags[list(rows)]


@dataclass(frozen=True)
class TagLists:
    """One column of lists of tags, none of them unknown."""

    table: CsvTable
    tags: list[list[str]]

    def missing(self) -> list[int]:
        """No row: an empty cell is a row without tags."""
        return []

    def strata(self) -> Tensor:
        """Places of the rows, drawn uniformly. -> [N, 1]."""
        return torch.zeros(len(self.tags), 1)

    def names(self, train: Sequence[int]) -> tuple[str, ...]:
        """Sorted tags of the training rows. Raises `UserError` if there are none."""
        found = {tag for row in train for tag in self.tags[row]}
        if not found:
            raise UserError(
                f"no training row of {str(self.table.path)!r} has a tag; name another column by ?tags=COLUMN"
            )
        return tuple(sorted(found, key=natural_order))

    def values(self, rows: Sequence[int], names: Sequence[str]) -> Tensor:
        """Tags. -> [M, T]."""
        places, made = {name: k for k, name in enumerate(names)}, torch.zeros(len(rows), len(names))
        for place, row in enumerate(rows):
            for tag in self.tags[row]:
                if tag not in places:
                    raise UserError(
                        f"{self.table.at(row)} has the tag {tag!r}, which no training row has; add training rows, or "
                        "correct it"
                    )
                made[place, places[tag]] = 1
        return made


def read_classes(table: CsvTable, column: str) -> ClassLabels:
    """Read one class for each row: whole numbers if all are, otherwise names.

    Raises `UserError` for lists of tags, and for a negative number.
    """
    cells = [each.strip() for each in table.column(column)]
    numbers = [WHOLE.fullmatch(each) for each in cells]
    if all(number for number, cell in zip(numbers, cells, strict=True) if cell):
        labels: list[Label] = [int(each[1]) if each else None for each in numbers]
    else:
        labels = [each or None for each in cells]
    if all(NUMBER.fullmatch(each) for each in cells if each):
        _require_whole_numbers(table, cells)
    for row, label in enumerate(labels):
        if isinstance(label, int) and label < -1:
            raise UserError(f"{table.at(row)} has the label {label}, but classes are numbered from 0; correct it")
        if isinstance(label, str) and SEPARATOR in label:
            raise UserError(
                f"{table.at(row)} has the label {label!r}, a list; read several tags for each row by ?tags={column}, "
                f"or write classes without {SEPARATOR!r}"
            )
    return ClassLabels(table, column, labels)


def read_tag_columns(table: CsvTable, columns: Sequence[str]) -> TagColumns:
    """Read one tag from each column. Raises `UserError` for a cell that is neither 1, 0 nor empty."""
    if doubled := [each for k, each in enumerate(columns) if each in columns[:k] or not each]:
        raise UserError(f"cannot read ?label={','.join(columns)}: {doubled[0]!r} is empty or there twice")
    tags = [[_tag(cell, row, column, table) for row, cell in enumerate(table.column(column))] for column in columns]
    return TagColumns(tuple(columns), torch.tensor(tags).T.contiguous())


def read_tag_lists(table: CsvTable, column: str, separator: str) -> TagLists:
    """Read a list of tags from each cell of a column; an empty cell has none. Raises `UserError` for an empty tag."""
    lists = [[tag.strip() for tag in cell.split(separator)] if cell.strip() else [] for cell in table.column(column)]
    for row, tags in enumerate(lists):
        if "" in tags:
            raise UserError(f"{table.at(row)} has an empty tag in {column!r}; write TAG{separator}TAG, or nothing")
    return TagLists(table, lists)


def _require_whole_numbers(table: CsvTable, cells: Sequence[str]) -> None:
    if (row := next((k for k, each in enumerate(cells) if FRACTION.fullmatch(each)), None)) is not None:
        raise UserError(
            f"{table.at(row)} has the label {cells[row]}, but classes are whole numbers or names; name another column "
            "by ?label=COLUMN"
        )


def _tag(cell: str, row: int, column: str, table: CsvTable) -> float:
    found = TAGS.get(cell.strip().lower())
    if found is None:
        raise UserError(
            f"{table.at(row)} has {cell!r} in {column!r}, but a tag is 1, 0, or an empty cell where it is unknown; "
            "correct it, or read one class for each row by ?label=COLUMN"
        )
    return found
