"""Encoded images that stay in larger files: each is read by its place when it is needed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.row_views import RowView


class StoredBytes(RowView[bytes]):
    """Pieces of a file, read on access and never kept; a file is opened for each, so processes can share the object."""

    def __init__(self, file: Path, starts: NDArray[np.int64], sizes: NDArray[np.int64]):
        self.file, self.starts, self.sizes = file, starts, sizes

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, row: int) -> bytes:
        """Bytes of a piece. Raises `OSError` if the file was removed."""
        with self.file.open("rb", buffering=0) as file:
            file.seek(int(self.starts[row]))
            return file.read(int(self.sizes[row]))
