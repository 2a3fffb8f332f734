"""Files that are whole or not there."""

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
    """The text as a name for a folder: what is no letter, digit, dot or underscore becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-")


def write_whole(path: Path, write: Callable[[Path], Any], *, before: Path | None = None) -> None:
    """Let `write` fill a temporary file beside `path`, and put it in place once it lies on the disk.

    What was at `path` goes to `before`, if named. Raises `UserError` where it cannot be written; then all is as it was.
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
        with suppress(OSError):  # a read-only disk refuses to remove even what is not there
            beside.unlink()


def sweep(folder: Path) -> None:
    """Remove temporary files of processes that were killed while they wrote."""
    for path in folder.iterdir():
        if re.fullmatch(r"\..+\.\d+", path.name):
            path.unlink()


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file, whole."""
    write_whole(path, lambda beside: beside.write_text(json.dumps(values, indent=2) + "\n"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; raises `UserError` where it is none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def make_folder(path: Path) -> Path:
    """Make a folder and those above it; raises `UserError` where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}; choose another --out") from None
    return path


def _sync_folder(folder: Path) -> None:
    """Have the folder's own entries lie on the disk; until then a rename may be lost with the power."""
    if os.name != "posix":
        return  # other systems open no folders
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what network disks say that cannot do it
            raise
    finally:
        os.close(opened)
