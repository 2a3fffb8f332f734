"""The runs behind a study: what each one's folder says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfdistill.errors import UserError
from selfdistill.files import folder_name, read_json
from selfdistill.study import Study
from selfdistill.study.layout import run_folder
from selfdistill.train.networks import RUN
from selfdistill.train.trainer import LOG

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """A finished run."""

    method: str
    seed: int
    folder: Path
    result: dict[str, Any]
    facts: dict[str, Any]  # run.json
    log: Rows  # an epoch each


def runs_of(study: Study) -> dict[str, list[Run]]:
    """A study's finished runs by method, in the order of methods and seeds; each file is read once."""
    return {method: [_run(study, method, seed) for seed in _seeds(study, method)] for method in _finished(study)}


def watched(runs: dict[str, list[Run]]) -> str:
    """Which accuracy the logs follow: on the held-out images where all runs have them, else in training."""
    rows = [row for each in runs.values() for run in each for row in run.log]
    return "validation_top1" if all("validation_top1" in row for row in rows) else "train_top1"


def curve(run: Run, key: str) -> list[tuple[int, float]]:
    """A run's value after each epoch."""
    return [(row["epoch"], row[key]) for row in run.log if key in row]


def name(study: Study) -> str:
    """A study's name, as its folder is called."""
    return study.folder.absolute().name


def title(study: Study) -> str:
    """What a study is about, in a few words."""
    data, model = (each.rstrip("/").split("/")[-1] for each in (study.base.data, study.base.model))
    wrong = f" with {100 * study.base.label_noise:g} % wrong labels" if study.base.label_noise else ""
    return f"{len(set(study.methods) - set(study.epochs))} ways to train {model} on {data}{wrong}"


def anchor(study: Study, method: str = "", seed: int | None = None) -> str:
    """The name of a study's place on the page, of a method's in it, or of a run's."""
    place = run_folder(study.folder, method, seed or 0).parent.name if method else ""
    words = [name(study), place, "" if seed is None else f"seed{seed}"]
    return folder_name("-".join(word for word in words if word))


def _finished(study: Study) -> list[str]:
    return [method for method in study.methods if study.results.get(method)]


def _seeds(study: Study, method: str) -> list[int]:
    return [seed for seed in study.seeds if seed in study.results[method]]


def _run(study: Study, method: str, seed: int) -> Run:
    folder = run_folder(study.folder, method, seed)
    return Run(method, seed, folder, study.results[method][seed], read_json(folder / RUN), _log(folder / LOG))


def _log(path: Path) -> Rows:
    """A log's rows; none where there is no log."""
    try:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path}: {error}; remove the run's folder and repeat the compare command"
        ) from None
