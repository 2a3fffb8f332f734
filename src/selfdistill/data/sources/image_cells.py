"""Cells of a table's image column: encoded images, or paths of image files."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from selfdistill.data.row_views import RowView
from selfdistill.data.sources.table_file import TableFile
from selfdistill.errors import UserError


class ImageCells(RowView[bytes | Path]):
    """Images of a table's rows, read from its column on access."""

    def __init__(self, table: TableFile, column: str):
        self.table, self.column = table, column

    def __len__(self) -> int:
        return self.table.rows

    def at(self, row: int) -> bytes | Path:
        """Encoded image of a row, or the path of its file. Raises `UserError` for a file that is not there."""
        encoded, path = encoded_and_path(self._cells[row].as_py())
        return image_file(self.table, row, path) if path else encoded

    @cached_property
    def _cells(self) -> pa.ChunkedArray:
        return self.table.column(self.column)


def row_name(table: TableFile, row: int) -> str:
    """Name of a row in messages."""
    return f"in row {row} of {table.name}"


def stored_bytes(table: TableFile, column: str) -> int:
    """Size of a table's images in bytes: of its file on the disk, or of a mapped column."""
    return int(table.column(column).nbytes) if table.path is None else table.path.stat().st_size


def encoded_and_path(cell: Any) -> tuple[bytes, str | None]:
    """Read a cell: bytes, a path, or a struct of both. The path is None where there are bytes, or nothing.

    >>> encoded_and_path({"bytes": None, "path": "1.png"})
    (b'', '1.png')
    """
    match cell:
        case dict():
            encoded, path = cell.get("bytes"), cell.get("path")
        case str():
            encoded, path = None, cell
        case _:
            encoded, path = cell, None
    if encoded or not path:
        return bytes(encoded or b""), None  # an empty one is unreadable, and named with all others
    return b"", path


def image_file(table: TableFile, row: int, path: str) -> Path:
    """File of a cell that holds only a path; raises `UserError` if it is not there, or outside the data set."""
    root = table.folders[-1].absolute()
    for folder in table.folders:
        file = Path(os.path.normpath(folder.absolute() / path))
        if file.is_relative_to(root) and os.path.isfile(file):
            return file
    raise UserError(
        f"the image {row_name(table, row)} is only a path, {path!r}, and there is no such file in {str(root)!r}; put "
        "the files there, or write their bytes into the table"
    )
