"""Index of a folder of a million files, kept between runs and checked by the time stamps of its folders."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.cache_folder import cache_folder, cache_key, make_cache
from selfdistill.data.file_paths import packed_texts, unpacked_texts
from selfdistill.data.folder_tree import folders_below
from selfdistill.errors import UserError
from selfdistill.files import write_atomic

LAYOUT = 1  # of the files; part of their names
TIMES, PATHS = "folder times", "folder paths"  # arrays of the folders' state, beside those of the index


class Keeping(NamedTuple):
    """Least number of files of an index that is kept, and the seconds since the last change of its folders."""

    files: int = 100_000
    age: float = 2.0  # time stamps are coarse: a change in the same tick would go unnoticed


KEEPING = Keeping()


def kept_index(
    kind: str,
    root: Path,
    make: Callable[[], dict[str, NDArray[Any]]],
    keep: Keeping = KEEPING,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an index, made by `make` unless they were kept and no folder below `root` has changed.

    Its "count" is the number of files. A file that is added, removed or renamed changes its folder's time stamps; one
    that is overwritten in place does not.
    """
    path = index_folder() / f"{cache_key([LAYOUT, kind, os.path.abspath(root)])}.npz"
    found = _read(path)
    if found is not None and _unchanged(found):
        return found
    start = time.time()
    made = make()
    if int(made["count"]) >= keep.files:
        folders = [*folders_below(root)]
        times = _times(folders)
        if times.max() < (start - keep.age) * 1e9:
            _write(path, {**made, PATHS: packed_texts(folders), TIMES: times})
    return made


def index_folder() -> Path:
    """Folder of the indices."""
    return cache_folder("folders")


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    try:
        with path.open("rb") as file, np.load(file) as found:
            return dict(found)
    except (OSError, ValueError, EOFError, BadZipFile):  # none yet, or damaged: it is made again
        return None


def _write(path: Path, index: dict[str, NDArray[Any]]) -> None:
    """Write an index; a folder that cannot be written costs the time of the next start, no more."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **index)

    try:
        make_cache(path.parent)
        write_atomic(path, write)
    except UserError:
        return


def _unchanged(index: dict[str, NDArray[Any]]) -> bool:
    try:
        return bool(np.array_equal(_times(unpacked_texts(index[PATHS])), index[TIMES]))
    except OSError:  # a folder was removed or renamed
        return False


def _times(folders: Iterable[str]) -> NDArray[np.int64]:
    """Times of the last change of entries and of the folder itself, in nanoseconds. -> [N, 2]."""
    stats = map(os.stat, folders)
    return np.array([(each.st_mtime_ns, each.st_ctime_ns) for each in stats], dtype=np.int64)
