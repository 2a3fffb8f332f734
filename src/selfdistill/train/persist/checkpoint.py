"""Everything that must survive an interruption, in one dict and one file with a checksum."""

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
HEAD = b"selfdistill checkpoint 1\n"  # then the checksum of what follows it, a newline, and torch's file
DIGITS = 64  # of a checksum, SHA-256 in hexadecimal

State: TypeAlias = dict[str, Any]  # tensors and plain values, nested: read with weights_only=True


class CheckpointError(Exception):
    """A checkpoint that a run cannot go on from, and why."""


def save(folder: Path, state: State) -> None:
    """Write the checkpoint of a run, keeping the one before it. Raises `UserError`."""
    write_atomic(folder / LAST, lambda beside: _write(beside, state), before=folder / PREVIOUS)


def read(path: Path) -> State:
    """Read a checkpoint; nothing in it is executed. Raises `CheckpointError`."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise CheckpointError(f"it cannot be read: {error.strerror}") from None


def latest(folder: Path, require: Callable[[State], None], tell: Callable[[str], None]) -> State | None:
    """The newest checkpoint of a folder that is whole and that `require` lets pass; None where there is none.

    `require` raises `CheckpointError`. The last one, if it is unusable, is put aside and the one before it taken, and
    `tell` is told so. Raises `UserError` where there are only unusable ones.
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
                _put_aside(folder, reasons, tell)
                return state
    if reasons:
        found = ", ".join(f"{name} ({reason})" for name, reason in reasons.items())
        raise UserError(
            f"no checkpoint in {folder} can be used: {found}; delete what is there to start the run from its "
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
    """Put the random streams where `random_state` found them."""
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu" and state["device"] is not None:
        torch.get_device_module(device).set_rng_state(state["device"])
    keys, *place = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *place))
    random.setstate(state["python"])


def _write(path: Path, state: State) -> None:
    with path.open("wb") as file:
        file.write(HEAD + b"0" * DIGITS + b"\n")
        body = Summed(file)
        torch.save(state, body)  # type: ignore[arg-type]  # it needs no more of a file than this
        if body.error:
            raise body.error
        file.seek(len(HEAD))
        file.write(body.sum.hexdigest().encode())


def _read(file: BinaryIO) -> State:
    if file.read(len(HEAD)) != HEAD:
        raise CheckpointError("it is no checkpoint of this version of selfdistill")
    wanted = file.read(DIGITS + 1)[:-1]
    start = file.tell()
    if hashlib.file_digest(file, "sha256").hexdigest().encode() != wanted:  # type: ignore[arg-type]
        raise CheckpointError("its checksum is wrong: it was cut short or changed on the disk")
    file.seek(start)
    try:
        state: State = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's kinds for files of somebody else's making differ
        raise CheckpointError(
            f"it holds something else than tensors and plain values ({type(error).__name__})"
        ) from None
    return state


class Summed:
    """A file that sums up what is written to it.

    The first error is kept for later: torch's writer would put one of its own in its place.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.sum = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write the data, unless a write failed before."""
        self.sum.update(data)
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Leave it to the file, which is closed soon."""


def _put_aside(folder: Path, reasons: dict[str, str], tell: Callable[[str], None]) -> None:
    """Move an unusable last checkpoint away: the next save would put it in the place of the good one."""
    if LAST in reasons:
        (folder / LAST).replace(folder / UNUSABLE)
        tell(f"{folder / LAST} cannot be used: {reasons[LAST]}; it is {UNUSABLE} now, and {PREVIOUS} is taken")
