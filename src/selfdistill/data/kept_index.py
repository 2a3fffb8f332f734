"""Index of a folder of a million files, kept between runs and checked by the time stamps of its folders."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.cache_folder import cache_folder, cache_key
from selfdistill.data.file_paths import packed_texts, unpacked_texts
from selfdistill.data.folder_tree import folders_below
from selfdistill.data.kept_arrays import Arrays, read_kept, write_kept

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
    make: Callable[[], Arrays],
    keep: Keeping = KEEPING,
) -> Arrays:
    """Return the arrays of an index, made by `make` unless they were kept and no folder below `root` has changed.

    Its "count" is the number of files. A file that is added, removed or renamed changes its folder's time stamps; one
    that is overwritten in place does not.
    """
    path = index_folder() / f"{cache_key([LAYOUT, kind, os.path.abspath(root)])}.npz"
    found = read_kept(path)
    if found is not None and _unchanged(found):
        return found
    start = time.time()
    made = make()
    if int(made["count"]) >= keep.files:
        folders = [*folders_below(root)]
        times = _times(folders)
        if times.max() < (start - keep.age) * 1e9:
            write_kept(path, {**made, PATHS: packed_texts(folders), TIMES: times})
    return made


def index_folder() -> Path:
    """Folder of the indices."""
    return cache_folder("folders")


def _unchanged(index: Arrays) -> bool:
    try:
        return bool(np.array_equal(_times(unpacked_texts(index[PATHS])), index[TIMES]))
    except OSError:  # a folder was removed or renamed
        return False


def _times(folders: Iterable[str]) -> NDArray[np.int64]:
    """Times of the last change of entries and of the folder itself, in nanoseconds. -> [N, 2]."""
    stats = map(os.stat, folders)
    return np.array([(each.st_mtime_ns, each.st_ctime_ns) for each in stats], dtype=np.int64)
