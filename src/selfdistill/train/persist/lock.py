"""Lock of a run's folder: one process at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from selfdistill.errors import UserError
from selfdistill.files import exists, make_folder, remove_temporary_files

LOCK = ".lock"  # a lock of the operating system, released even if the process is killed


@contextmanager
def run_lock(folder: Path, wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Lock a folder, which is created if missing and removed if it is still empty at the end.

    While another process holds the lock, wait after a call of `wait` with a message, or without `wait` raise a
    `UserError` with the id of that process.
    """
    made, lock = not exists(folder), FileLock(make_folder(folder) / LOCK)
    _acquire(lock, folder, wait)
    try:
        remove_temporary_files(folder)
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()
        lock.release()
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _acquire(lock: FileLock, folder: Path, wait: Callable[[str], None] | None) -> None:
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            holder = f"process {_holder(folder)} is training in {folder}"
            if wait is None:
                raise UserError(f"{holder}; wait for it to end, or choose another --out") from None
            wait(f"{holder}; waiting for it to end")
            _wait(lock, folder)
        (folder / LOCK).write_text(f"{os.getpid()}\n")
    except OSError as error:
        lock.release()
        raise UserError(f"cannot write in {folder}: {error.strerror}; choose another --out") from None


def _wait(lock: FileLock, folder: Path) -> None:
    """Wait for the lock; the process that holds it may remove the folder, which is then created again."""
    while not lock.is_locked:
        with suppress(FileNotFoundError):
            make_folder(folder)
            lock.acquire()


def _holder(folder: Path) -> str:
    """Return the id of the process that holds the lock."""
    with suppress(OSError):  # released in between
        return (folder / LOCK).read_text().strip() or "?"
    return "?"
