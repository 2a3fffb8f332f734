"""Where studies and their runs lie."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from selfdistill.train.config import RunConfig
from selfdistill.train.files import folder_name


def usual_folder(base: RunConfig, models: Sequence[str] = (), data: Sequence[str] = ()) -> Path:
    """Where a study lies that is given no folder: one for each data set, its limit, model and length."""
    sets, networks = [_last(each) for each in data or [base.data]], [_last(each) for each in models or [base.model]]
    parts = [*sets, base.limit, *networks, f"{base.epochs}epochs"]
    return Path("runs") / folder_name("-".join(str(each) for each in parts if each))


def pair_folder(folder: Path, data: str, model: str) -> Path:
    """Where the study of one of several data sets and models lies."""
    return folder / folder_name(f"{_last(data)}-{_last(model)}")


def run_folder(folder: Path, row: str, seed: int) -> Path:
    """Where a run of a study lies: a name that can be read and is this row's alone."""
    words = folder_name(row)
    if words != row.removesuffix("()"):
        words = f"{words[:60]}-{hashlib.sha256(row.encode()).hexdigest()[:6]}"
    return folder / "runs" / words / f"seed{seed}"


def _last(name: str) -> str:
    return name.rstrip("/").split("/")[-1]
