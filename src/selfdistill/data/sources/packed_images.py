"""Encoded images of a Parquet file, copied once to a file without compression that gives each row at once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from selfdistill.data.cache_folder import VARIABLE, cache_folder, cache_key, file_state, kept_file
from selfdistill.data.row_views import RowView
from selfdistill.data.sources.image_cells import encoded_and_path, image_file
from selfdistill.data.sources.table_file import TableFile
from selfdistill.data.stored_bytes import StoredBytes
from selfdistill.errors import UserError
from selfdistill.system import format_bytes, free_disk

LAYOUT = 1  # of the files; part of their names
SPARE = 2**28  # bytes that stay free on the disk


def packed_folder() -> Path:
    """Folder of the copies."""
    return cache_folder("parquet")


class PackedImages(RowView[bytes | Path]):
    """Images of a Parquet file's rows, in a copy that depends on its path, size and time stamp.

    The copy is made on construction, unless it is there. Raises `UserError` for a damaged file, a full disk, and cells
    with the path of a file that is not there.
    """

    def __init__(self, table: TableFile, column: str):
        self.table = table
        name = cache_key([LAYOUT, column, *file_state(_path(table))])
        index = packed_folder() / f"{name}.npz"
        blob = index.with_suffix(".images")
        if not blob.exists():
            index.unlink(missing_ok=True)
        kept_file(index, lambda path: _pack(table, column, blob, path))
        with np.load(index) as found:
            self.ends, self.is_path = found["ends"], found["is_path"]
        self.stored = StoredBytes(blob, np.concatenate([[0], self.ends[:-1]]), np.diff(self.ends, prepend=0))
        for row in self.is_path.nonzero()[0].tolist():
            self.at(row)

    def __len__(self) -> int:
        return self.table.rows

    def at(self, row: int) -> bytes | Path:
        """Encoded image of a row, or the path of its file."""
        found = self.stored.at(row)
        return image_file(self.table, row, found.decode()) if self.is_path[row] else found


def _path(table: TableFile) -> Path:
    assert table.path is not None
    return table.path


def _pack(table: TableFile, column: str, blob: Path, index: Path) -> None:
    """Write the images to `blob`, and their places to `index`."""
    _require_disk(table, blob)
    ends, is_path = np.zeros(table.rows, dtype=np.int64), np.zeros(table.rows, dtype=bool)
    with blob.open("wb") as file:
        for row, (encoded, path) in enumerate(_cells(table, column)):
            file.write(path.encode() if path else encoded)
            ends[row], is_path[row] = file.tell(), bool(path)
    with index.open("wb") as file:
        np.savez(file, ends=ends, is_path=is_path)


def _cells(table: TableFile, column: str) -> Iterator[tuple[bytes, str | None]]:
    for block in table.blocks(column):
        yield from (encoded_and_path(cell.as_py()) for cell in block)


def _require_disk(table: TableFile, blob: Path) -> None:
    needed, free = _path(table).stat().st_size + SPARE, free_disk(blob.parent)  # images are compressed already
    if needed > free:
        raise UserError(
            f"the copy of {table.name} needs {format_bytes(needed)} of disk, {format_bytes(free)} are free at "
            f"{str(blob.parent)!r}; free some, or choose another folder by ${VARIABLE}"
        )
