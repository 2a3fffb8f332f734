"""Files: paths that may be refused, atomic writes, JSON."""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from selfdistill.errors import UserError
from selfdistill.schema import short_repr


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if before is not None and exists(path):
            path.replace(before)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"cannot write {_shortened(str(path))}: {why}; free the disk or choose another --out") from None
    finally:
        with suppress(OSError):  # a read-only disk refuses to remove even a missing file
            temporary.unlink()


def remove_temporary_files(folder: Path) -> None:
    """Remove temporary files of processes that were killed while writing."""
    for path in folder.iterdir():
        if re.fullmatch(r"\..+\.\d+", path.name):
            path.unlink()


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON file atomically; raises `UserError` for a number that JSON cannot hold, NaN or infinity."""
    try:
        text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise UserError(f"cannot write {path}: {error}; a loss or a weight of the run is not finite") from None
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises `UserError` if the file is missing or holds something else."""
    text = read_text(path)
    try:
        values = parse_json(_required(text, path))
    except ValueError as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"cannot read {path}: an object is wanted, but the file holds {short_repr(values)}")
    if any("\ud800" <= each <= "\udfff" for each in json.dumps(values, ensure_ascii=False)):
        raise UserError(f"cannot read {path}: it holds a half of a surrogate pair, which is no character")
    return values


def parse_json(text: str) -> Any:
    """Parse JSON as the standard has it, without NaN and infinity; raises `ValueError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_text(path: Path) -> str | None:
    """Read a UTF-8 file; None if it does not exist. Raises `UserError` for an unreadable file."""
    try:
        return path.read_text(encoding="utf-8") if is_file(path) else None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"cannot read {path}: it is no UTF-8 text ({error})") from None


def csv_cell(value: object) -> object:
    """Return a cell's value; text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> csv_cell("=1+1"), csv_cell("-0.40"), csv_cell(-0.4)
    ("'=1+1", '-0.40', -0.4)
    """
    if (
        isinstance(value, str)
        and re.match(r"[=+\-@\t\r]", value)
        and not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", value)
    ):
        return f"'{value}"
    return value


def one_line(text: str) -> str:
    """Return a text without line breaks and other control characters, each a space."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text)


def is_file(path: str | Path) -> bool:
    """Return whether a path is a file; raises `UserError` if the system denies access."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | Path) -> bool:
    """Return whether a path is a folder; raises `UserError` if the system denies access."""
    return stat.S_ISDIR(_mode(path))


def exists(path: str | Path) -> bool:
    """Return whether a path exists; raises `UserError` if the system denies access."""
    return _mode(path) != 0


def glob(folder: Path, pattern: str) -> list[Path]:
    """List the paths in a folder that match, by name; raises `UserError` for a folder that may not be read."""
    if not is_folder(folder):
        return []
    try:
        os.scandir(folder).close()  # Path.glob takes a folder that may not be read for an empty one
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise _refused(folder, error.strerror) from None


def _mode(path: str | Path) -> int:
    """Return the mode bits of a path; 0 where nothing is there."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:  # the latter for a null character and bytes that are no text
        raise _refused(path, getattr(error, "strerror", None) or str(error)) from None


def _refused(path: str | Path, why: object) -> UserError:
    return UserError(f"cannot access {_shortened(str(path))}: {why}; choose another path, or change its permissions")


def _shortened(path: str) -> str:
    return path if len(path) < 300 else f"{path[:150]}…{path[-50:]}"


def _required(text: str | None, path: Path) -> str:
    if text is None:
        raise UserError(f"cannot read {path}: there is no such file")
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def make_folder(path: Path) -> Path:
    """Create a folder and its parents; raises `UserError` on failure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # the latter for a null character and bytes that are no text
        why = getattr(error, "strerror", None) or error
        raise UserError(f"cannot make the folder {_shortened(str(path))}: {why}; choose another --out") from None
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
