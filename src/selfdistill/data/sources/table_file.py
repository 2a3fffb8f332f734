"""Tables of images and labels: Parquet files, and splits of the hub, read a few columns at a time."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from selfdistill.data.sources import first_line
from selfdistill.errors import UserError

BLOCK = 256  # rows that are converted at once
BUFFER = 2**20  # bytes; without it, Arrow reads all images of a row group at once


class TableFile(NamedTuple):
    """A table that is read by columns; paths of image files in its cells begin in one of `folders`, below the last."""

    name: str
    schema: pa.Schema
    rows: int
    read: Callable[[Sequence[str]], pa.Table]
    folders: Sequence[Path]
    path: Path | None = None  # of a file that is read from the disk

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """Features of the columns in the schema's `huggingface` metadata, if any."""
        try:
            found = json.loads((self.schema.metadata or {})[b"huggingface"])["info"]["features"]
            return {name: each for name, each in found.items() if isinstance(each, Mapping)}
        except (AttributeError, KeyError, TypeError, ValueError):
            return {}

    def column(self, name: str) -> pa.ChunkedArray:
        """Values of a column. Raises `UserError` if the table has two of the name."""
        if self.schema.names.count(name) > 1:
            raise UserError(f"{self.name} has several columns {name!r}; rename all but one")
        return self.read([name])[name]

    def blocks(self, name: str) -> Iterator[pa.Array]:
        """Yield the values of a column in blocks of `BLOCK` rows, without the others in memory."""
        if self.path is None:
            yield from self.column(name).chunks
            return
        with _naming(self.path), pq.ParquetFile(self.path, buffer_size=BUFFER) as file:
            for batch in file.iter_batches(BLOCK, columns=[name]):
                yield batch.column(0)


def open_parquet(path: Path, folder: Path) -> TableFile:
    """Open a Parquet file, reading only its schema. Raises `UserError` for a damaged file."""

    def read(columns: Sequence[str]) -> pa.Table:
        with _naming(path), pq.ParquetFile(path) as file:
            return file.read(list(columns))

    with _naming(path), pq.ParquetFile(path) as file:
        name, folders = str(path.relative_to(folder)), (path.parent, folder)
        return TableFile(name, file.schema_arrow, file.metadata.num_rows, read, folders, path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Convert errors of Arrow to `UserError` with the file's name."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"cannot read {str(path)!r}: {first_line(error)}; fetch the file again") from None
