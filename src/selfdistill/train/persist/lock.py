"""A run's folder is one process's at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from selfdistill.errors import UserError
from selfdistill.files import exists, make_folder, remove_temporary_files

LOCK = ".lock"  # locked by the system, which lets go of it whatever becomes of the process


@contextmanager
def run_lock(folder: Path, wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a folder, made where it is not there; one that is still empty in the end is removed.

    Where another process holds it: raises `UserError` with that process's number, or tells `wait` and waits.
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
                raise UserError(f"{holder}; wait until it ends, or choose another --out") from None
            wait(f"{holder}; waiting until it ends")
            _wait(lock, folder)
        (folder / LOCK).write_text(f"{os.getpid()}\n")
    except OSError as error:
        lock.release()
        raise UserError(f"cannot write in {folder}: {error.strerror}; choose another --out") from None


def _wait(lock: FileLock, folder: Path) -> None:
    """Wait for the lock; who holds it may take the folder away in the end, which is then made again."""
    while not lock.is_locked:
        with suppress(FileNotFoundError):
            make_folder(folder)
            lock.acquire()


def _holder(folder: Path) -> str:
    """The number of the process that holds a folder."""
    with suppress(OSError):  # it has let go meanwhile
        return (folder / LOCK).read_text().strip() or "?"
    return "?"
