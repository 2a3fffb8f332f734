"""Arrays that are kept between runs in a file, to save time: one that is missing or damaged is made again."""

from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.cache_folder import make_cache
from selfdistill.errors import UserError
from selfdistill.files import write_atomic

Arrays: TypeAlias = dict[str, NDArray[Any]]


def read_kept(path: Path) -> Arrays | None:
    """Read arrays by name; None for a file that is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file) as found:
            return dict(found)
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def write_kept(path: Path, arrays: Arrays) -> None:
    """Write arrays by name; a folder that cannot be written costs the time of the next start, no more."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    try:
        make_cache(path.parent)
        write_atomic(path, write)
    except UserError:
        return
