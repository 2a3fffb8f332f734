"""Files and folders below a path, through links, without hidden ones; each real folder once."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(root: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield regular files with their folder, in the order of sorted paths."""
    for folder, entry in _walk(str(root), set()):
        if entry is not None and entry.is_file():
            yield folder, entry


def folders_below(root: Path) -> Iterator[str]:
    """Yield a folder and all folders below it."""
    yield from (folder for folder, entry in _walk(str(root), set()) if entry is None)


def _walk(folder: str, seen: set[str]) -> Iterator[tuple[str, "os.DirEntry[str] | None"]]:
    """Yield each entry that is no folder with its folder, and each folder with None."""
    real = os.path.realpath(folder)
    if real in seen:  # a link leads back
        return
    seen.add(real)
    yield folder, None
    for entry in _visible(folder):
        if _is_folder(entry):
            yield from _walk(entry.path, seen)
        else:
            yield folder, entry


def _visible(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    except OSError:  # the source that reads the folder says so, in words
        return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
