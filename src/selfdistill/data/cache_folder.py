"""Folder for what is computed once from a data set and kept: packed images, and indices of files."""

import os
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock

from selfdistill.errors import UserError
from selfdistill.files import make_folder

VARIABLE = "SELFDISTILL_CACHE"


def cache_folder(kind: str) -> Path:
    """Return the folder for one kind: below `$SELFDISTILL_CACHE`, `$XDG_CACHE_HOME/selfdistill` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(VARIABLE) or Path(base, "selfdistill")).expanduser() / kind


def cache_key(parts: Iterable[object]) -> str:
    """Return a short name for what a cached file depends on.

    >>> cache_key(["train.parquet", 7]) == cache_key(["train.parquet", 8])
    False
    """
    return blake2b("\n".join(map(str, parts)).encode(errors="surrogateescape"), digest_size=12).hexdigest()


def file_state(path: Path) -> tuple[str, int, int]:
    """Real path, size in bytes and time stamp of a file, which stand for its content."""
    found = path.stat()
    return os.path.realpath(path), found.st_size, found.st_mtime_ns


def kept_file(path: Path, write: Callable[[Path], None]) -> Path:
    """Return a cached file, written by `write` if it is missing: whole or not at all, by one process at a time."""
    if not path.exists():
        make_cache(path.parent)
        try:
            with FileLock(f"{path}.lock"):
                if not path.exists():  # another process may have written it
                    _write_whole(path, write)
        except OSError as error:
            raise UserError(
                f"cannot write {str(path)!r}: {error.strerror or error}; free the disk, or choose another folder by "
                f"${VARIABLE}"
            ) from None
    return path


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    partial = path.with_name(f".{path.name}")  # a killed process leaves it, and the next one writes over it
    try:
        write(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def make_cache(folder: Path) -> None:
    """Create the folder. Raises `UserError` that names the variable for another one."""
    try:
        make_folder(folder)
    except UserError as error:
        why = str(error).partition("; ")[0]
        raise UserError(f"{why}; choose another folder by ${VARIABLE}") from None
