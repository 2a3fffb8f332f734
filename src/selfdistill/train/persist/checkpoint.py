"""Checkpoints: the state of a run as one dict in one file, with a checksum."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import torch

from selfdistill.errors import UserError
from selfdistill.files import exists, write_atomic

LAST, PREVIOUS, UNUSABLE = "last.ckpt", "previous.ckpt", "unusable.ckpt"
HEADER = b"selfdistill checkpoint 1\n"  # followed by the checksum of the rest, a newline, and torch's file
DIGITS = 64  # of a checksum, SHA-256 in hexadecimal

State: TypeAlias = dict[str, Any]  # tensors and plain values, nested: read with weights_only=True


class CheckpointError(Exception):
    """A checkpoint that a run cannot resume from; the text is the reason."""


def save(folder: Path, state: State) -> None:
    """Write the checkpoint of a run and keep the previous one. Raises `UserError` if it cannot be written."""
    write_atomic(folder / LAST, lambda temporary: _write(temporary, state), before=folder / PREVIOUS)


def read(path: Path) -> State:
    """Read a checkpoint; nothing in it is executed. Raises `CheckpointError`."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise CheckpointError(f"it cannot be read: {error.strerror}") from None


def latest(folder: Path, require: Callable[[State], None], on_note: Callable[[str], None]) -> State | None:
    """Return the newest intact checkpoint of a folder that passes `require`; None if there is no checkpoint.

    `require` raises `CheckpointError`. An unusable last checkpoint is renamed, the previous one is returned, and
    `on_note` gets a message. Raises `UserError` if all checkpoints are unusable.
    """
    reasons = {}
    for name in (LAST, PREVIOUS):
        try:
            state = read(folder / name) if exists(folder / name) else None
            if state is not None:
                require(state)
        except CheckpointError as reason:
            reasons[name] = str(reason)
        else:
            if state is not None:
                _set_aside(folder, reasons, on_note)
                return state
    if reasons:
        found = ", ".join(f"{name} ({reason})" for name, reason in reasons.items())
        raise UserError(
            f"no checkpoint in {folder} can be used: {found}; delete them to start the run from its "
            "beginning, or choose another --out"
        )
    return None


def random_state(device: torch.device) -> State:
    """Return the random states of torch (CPU and this device), NumPy and Python."""
    _, keys, *place = np.random.get_state(legacy=True)
    return {
        "cpu": torch.get_rng_state(),
        "device": None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(),
        "numpy": [torch.from_numpy(np.asarray(keys, dtype=np.int64)), *place],
        "python": random.getstate(),
    }


def set_random_state(state: State, device: torch.device) -> None:
    """Restore the random states of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu" and state["device"] is not None:
        torch.get_device_module(device).set_rng_state(state["device"])
    keys, *place = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *place))
    random.setstate(state["python"])


def _write(path: Path, state: State) -> None:
    with path.open("wb") as file:
        file.write(HEADER + b"0" * DIGITS + b"\n")
        body = HashingFile(file)
        torch.save(state, body)  # type: ignore[arg-type]  # it needs only write() and flush()
        if body.error:
            raise body.error
        file.seek(len(HEADER))
        file.write(body.digest.hexdigest().encode())


def _read(file: BinaryIO) -> State:
    if file.read(len(HEADER)) != HEADER:
        raise CheckpointError("it is not a checkpoint of this version of selfdistill")
    wanted = file.read(DIGITS + 1)[:-1]
    start = file.tell()
    if hashlib.file_digest(file, "sha256").hexdigest().encode() != wanted:  # type: ignore[arg-type]
        raise CheckpointError("its checksum is wrong: it was cut short or changed on the disk")
    file.seek(start)
    try:
        state: State = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for files of other programs
        raise CheckpointError(
            f"it holds other objects than tensors and plain values ({type(error).__name__})"
        ) from None
    return state


class HashingFile:
    """A file that hashes what is written to it.

    The first error is stored in `error`: torch's writer would hide it behind another.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write the data, unless a write failed before."""
        self.digest.update(data)
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is closed after the save."""


def _set_aside(folder: Path, reasons: dict[str, str], on_note: Callable[[str], None]) -> None:
    """Rename an unusable last checkpoint: the next save would move it over the good previous one."""
    if LAST in reasons:
        (folder / LAST).replace(folder / UNUSABLE)
        on_note(f"{folder / LAST} cannot be used: {reasons[LAST]}; renamed it to {UNUSABLE}, resuming from {PREVIOUS}")
