"""Text tables of cells separated by commas or tabs, with the line of each row."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import is_file, is_folder, read_text

TABS = (".tsv", ".tab")  # endings of files whose cells are separated by tabs
SEPARATED = " (cells of a .csv file are separated by commas, of a .tsv file by tabs)"
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class CsvTable:
    """Rows of a text table by its header. Raises `UserError` for a column that is missing or there twice."""

    path: Path
    header: tuple[str, ...]
    cells: list[list[str]]  # of each row
    lines: list[int]  # the last one of each row, from 1

    def __len__(self) -> int:
        return len(self.cells)

    def column(self, name: str) -> list[str]:
        """Cells of a column."""
        if self.header.count(name) != 1:
            found = "several columns" if name in self.header else "no column"
            raise UserError(f"{str(self.path)!r} has {found} {name!r}; its columns are {', '.join(self.header)}")
        place = self.header.index(name)
        return [row[place] for row in self.cells]

    def at(self, row: int) -> str:
        """Place of a row in messages."""
        return f"line {self.lines[row]} of {str(self.path)!r}"


def read_csv(path: Path) -> CsvTable:
    """Read a table in UTF-8 whose first line names the columns; empty lines are left out.

    Cells are separated by commas, or by tabs in .tsv and .tab files, and may be quoted. Blanks after a separator do not
    count. Raises `UserError` for a file that is missing, empty or no table, and for a row of another number of cells.
    """
    text = _text(path)
    delimiter = "\t" if path.suffix.lower() in TABS else ","
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows = [(reader.line_num, cells) for cells in _cells(reader, path) if any(cells)]
    if len(rows) < 2:
        raise UserError(f"{str(path)!r} has no rows below a line with the names of its columns; add some")
    (_, header), *body = rows
    table = CsvTable(
        path, tuple(each.strip() for each in header), [cells for _, cells in body], [line for line, _ in body]
    )
    _require_whole_rows(table)
    return table


def choose_column(table: CsvTable, name: str | None, usual: Sequence[str], option: str) -> str:
    """Return the column that an option names, or the only one with a usual name, in any case. Raises `UserError`."""
    if name is not None:
        return name
    found = [each for each in table.header if each.lower() in usual]
    if len(found) == 1:
        return found[0]
    hint = SEPARATED if len(table.header) == 1 else ""
    several = f"several columns that may be the {option}: {', '.join(found)}" if found else f"no column {usual[0]!r}"
    raise UserError(
        f"{str(table.path)!r} has {several}; name it by ?{option}=COLUMN, of {', '.join(table.header)}{hint}"
    )


def _text(path: Path) -> str:
    if is_folder(path):
        raise UserError(f"{str(path)!r} is a folder; csv:PATH is a file with a table, folder:PATH a folder of images")
    if not is_file(path):
        raise UserError(f"there is no file {str(path)!r}; csv:PATH is a table of paths and labels")
    return (read_text(path) or "").removeprefix(BYTE_ORDER_MARK)


def _cells(reader: "Iterator[list[str]]", path: Path) -> Iterator[list[str]]:
    """Yield rows; convert errors of the format."""
    try:
        yield from reader
    except csv.Error as error:
        line = getattr(reader, "line_num", 0)
        raise UserError(
            f"cannot read line {line} of {str(path)!r}: {error}; put cells that hold quotes or separators into double "
            "quotes"
        ) from None


def _require_whole_rows(table: CsvTable) -> None:
    columns = len(table.header)
    for row, cells in enumerate(table.cells):
        if len(cells) != columns:
            hint = SEPARATED if columns == 1 else ""
            raise UserError(
                f"{table.at(row)} has {len(cells)} cells, but its first line names {columns} columns; correct it{hint}"
            )
