"""Atomic file writes and JSON files."""

import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfdistill.errors import UserError


def folder_name(text: str) -> str:
    """Turn a text into a folder name: runs of other characters than letters, digits, "." and "_" become a dash.

    >>> folder_name("dsr(forget='epoch')")
    'dsr-forget-epoch'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-")


def write_atomic(path: Path, write: Callable[[Path], object], *, before: Path | None = None) -> None:
    """Let `write` fill a temporary file, sync it to disk and rename it to `path`.

    An old file is renamed to `before`, if given. Raises `UserError` on failure and leaves the old file in place.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        if before is not None and path.exists():
            path.replace(before)
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"cannot write {path}: {why}; free the disk or choose another --out") from None
    finally:
        with suppress(OSError):  # a read-only disk refuses to remove even a missing file
            beside.unlink()


def remove_temporary_files(folder: Path) -> None:
    """Remove temporary files of processes that were killed while writing."""
    for path in folder.iterdir():
        if re.fullmatch(r"\..+\.\d+", path.name):
            path.unlink()


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON file atomically."""
    write_atomic(path, lambda beside: beside.write_text(json.dumps(values, indent=2) + "\n"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises `UserError` if the file is missing or invalid."""
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    return values


def make_folder(path: Path) -> Path:
    """Create a folder and its parents; raises `UserError` on failure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}; choose another --out") from None
    return path


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, so that a rename survives a power failure."""
    if os.name != "posix":
        return  # other systems cannot open folders
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks do not support it
            raise
    finally:
        os.close(opened)
