"""Paths of studies and their runs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from selfdistill.files import folder_name
from selfdistill.run_key import RunKey, folder_of
from selfdistill.train.config import RunConfig


def default_folder(
    base: RunConfig,
    models: Sequence[str] = (),
    data: Sequence[str] = (),
    label_noise: Sequence[float] = (),
    folds: int | None = None,
) -> Path:
    """Return the default folder of a study, by data set, limit, folds, label noise, model and length."""
    sets, networks = [_last(each) for each in data or [base.data]], [_last(each) for each in models or [base.model]]
    noises = [_noise(each) for each in label_noise or [base.label_noise]]
    split = f"{folds}folds" if folds else None
    parts = [*sets, base.limit, split, *(noises if any(label_noise or [base.label_noise]) else ()), *networks]
    parts.append(base.length.replace(" ", ""))
    return Path("runs") / folder_name("-".join(str(each) for each in parts if each))


def pair_folder(folder: Path, data: str, model: str, label_noise: float | None = None) -> Path:
    """Return the folder of one study among several data sets, models and levels of label noise."""
    noise = [] if label_noise is None else [_noise(label_noise)]
    return folder / folder_name("-".join([_last(data), _last(model), *noise]))


def run_folder(folder: Path, row: str, key: RunKey) -> Path:
    """Return the folder of a run: readable, and unique to the row."""
    words = folder_name(row)
    if words != row.removesuffix("()"):
        words = f"{words[:60]}-{hashlib.sha256(row.encode()).hexdigest()[:6]}"
    return folder / "runs" / words / folder_of(key)


def _noise(share: float) -> str:
    return f"noise{share:g}"


def _last(name: str) -> str:
    return name.rstrip("/").split("/")[-1]
