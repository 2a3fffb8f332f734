"""Finished runs of a study: results, metadata and logs."""

from dataclasses import dataclass
from pathlib import Path

from selfdistill.files import folder_name
from selfdistill.records import AnyEpoch, AnyResult, RunInfo, number, read_info, read_log
from selfdistill.run_key import RunKey, folder_of
from selfdistill.study import Study
from selfdistill.study.layout import run_folder
from selfdistill.task import Task


@dataclass(frozen=True)
class Run:
    """A finished run with the contents of its files."""

    method: str
    key: RunKey
    folder: Path
    result: AnyResult
    facts: RunInfo  # run.json
    log: list[AnyEpoch]  # a row per epoch


def runs_of(study: Study) -> dict[str, list[Run]]:
    """Read the finished runs of a study by method, in the order of methods, folds and seeds."""
    return {method: [_run(study, method, key) for key in _keys(study, method)] for method in _finished(study)}


def logged_score(runs: dict[str, list[Run]], task: Task) -> str:
    """Choose the key of the learning curves: the score in validation if all runs have it, else that in training."""
    rows = [row for each in runs.values() for run in each for row in run.log]
    return task.validation if all(task.validation in row for row in rows) else task.training


def score_curve(run: Run, key: str) -> list[tuple[int, float]]:
    """List epochs and scores (percent) of a run."""
    return [(row["epoch"], number(row, key)) for row in run.log if key in row]


def study_name(study: Study) -> str:
    """Return the name of a study's folder."""
    return study.folder.absolute().name


def study_title(study: Study) -> str:
    """Summarize a study: number of methods, model and data set."""
    data, model = (each.rstrip("/").split("/")[-1] for each in (study.base.data, study.base.model))
    wrong = f" with {100 * study.base.label_noise:g} % label noise" if study.base.label_noise else ""
    return f"{len(set(study.methods) - set(study.epochs))} ways to train {model} on {data}{wrong}"


def anchor(study: Study, method: str = "", key: RunKey | None = None) -> str:
    """Return the id on the page of a study, of a method in it, or of a run."""
    place = run_folder(study.folder, method, key or 0).parent.name if method else ""
    words = [study_name(study), place, "" if key is None else folder_of(key)]
    return folder_name("-".join(word for word in words if word))


def _finished(study: Study) -> list[str]:
    return [method for method in study.methods if study.results.get(method)]


def _keys(study: Study, method: str) -> list[RunKey]:
    return [key for key in study.keys if key in study.results[method]]


def _run(study: Study, method: str, key: RunKey) -> Run:
    folder = run_folder(study.folder, method, key)
    result = study.results[method][key]
    return Run(method, key, folder, result, read_info(folder), read_log(folder, result["epochs"], study.task))
