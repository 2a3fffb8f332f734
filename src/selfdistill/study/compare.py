"""Comparison of methods: every method with every seed, on each model and data set."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import cast

from selfdistill.errors import UserError
from selfdistill.files import make_folder, write_json
from selfdistill.methods import parse_method
from selfdistill.records import AnyResult
from selfdistill.study.analysis.compute import longer_rows, relative_compute
from selfdistill.study.engine.engine import Engine, SerialEngine, run_jobs
from selfdistill.study.engine.job import Job, Outcome, load_splits, run_job
from selfdistill.study.evaluation.job import evaluate_all
from selfdistill.study.grid import Grid, with_controls
from selfdistill.study.layout import default_folder, run_folder
from selfdistill.study.results import write_results
from selfdistill.study.study import Study
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import require_fit
from selfdistill.train.preflight import remarks

__all__ = ["Study", "compare", "compare_all", "default_folder", "run_folder", "with_controls"]


def compare(
    methods: Sequence[str],
    base: RunConfig,
    seeds: Sequence[int],
    folder: str | Path,
    *,
    engine: Engine | None = None,
    listener: Listener | None = None,
) -> Study:
    """Run each method with each seed on one model and one data set.

    `methods` are expressions; `base` holds the settings of all runs, except method and seed. Finished runs in `folder`
    are not trained again. A method that fails is left out and its error kept in the study's `errors`. Raises
    `UserError` before any training where a method, the model or the data cannot be loaded or do not fit.

    >>> study = sd.compare(["ce()", "dsr()"], sd.RunConfig("ce()", epochs=1, limit=64), [0], "runs/study")
    >>> [result["method"] for row in study.methods for result in study.finished(row)]
    ['ce()', 'dsr()']
    """
    (study,) = compare_all(Grid(methods, seeds=seeds, recipe=base), folder, engine=engine, listener=listener)
    return study


def compare_all(
    grid: Grid, folder: str | Path | None = None, *, engine: Engine | None = None, listener: Listener | None = None
) -> list[Study]:
    """Run a grid and compute its metrics; return one study per data set, model and level of label noise.

    Finished runs are not trained again. A method that fails is left out of its study, its error is kept in `errors`,
    and the other methods continue. Raises `UserError` before any training if a method, a model, the data or a metric
    is unavailable or does not fit.
    """
    root = Path(folder or grid.folder)
    studies = [prepare(grid, base, place, listener) for base, place in grid.pairs(root)]
    run_studies(studies, root, engine=engine, listener=listener)
    if grid.request:
        evaluate_all(studies, grid.request, engine=engine, listener=listener)
    return studies


def prepare(grid: Grid, base: RunConfig, folder: Path, listener: Listener | None = None) -> Study:
    """Create a study without results; notes on its data go to the listener.

    Raises `UserError` if a method, the data or a metric does not fit.
    """
    if grid.equal_compute and not base.whole:
        raise UserError(
            f"--equal-compute lengthens runs by whole epochs, but a run has {base.length}; pass whole --epochs, "
            "without --steps"
        )
    rows = grid.rows
    study = Study(base, rows, tuple(grid.seeds), folder, folds=grid.folds)
    first = study.keys[0]
    splits = load_splits(study.config(rows[0], first))
    for note in (*splits.notes, *_remarks(study)):
        (listener or Listener()).on_note(note)
    study.test_images = len(splits.test)
    study.train_images = None if grid.folds is None else len(splits.train)
    for row, key in product(rows, dict.fromkeys((first, study.keys[-1]) if grid.folds else (first,))):
        require_fit(study.config(row, key), splits)  # a run as teacher fits one fold at most
    if grid.request:
        grid.request.require_available(base, splits)
    if not grid.equal_compute:
        return study
    compute = {row: relative_compute(study.config(row, first), splits) for row in rows}
    epochs = longer_rows(compute, int(base.epochs))
    compute |= {row: each / base.epochs for row, each in epochs.items()}
    return replace(study, methods=(*rows, *epochs), epochs=epochs, compute=compute)


def _remarks(study: Study) -> list[str]:
    """Return the remarks on all rows, each once."""
    configs = [study.config(row, study.keys[0]) for row in study.methods]
    return list(dict.fromkeys(words for each in configs for words in remarks(parse_method(each.method), each)))


def run_studies(
    studies: Sequence[Study], root: Path, *, engine: Engine | None = None, listener: Listener | None = None
) -> None:
    """Train the runs of studies, with their teachers in `root`, and write study.json and results.csv of each."""
    for study in studies:
        write_json(make_folder(study.folder) / "study.json", study.to_json())
    _run(studies, root / "teachers", engine or SerialEngine(), listener or Listener())
    for study in studies:
        write_results(study)


def _run(studies: Sequence[Study], teachers: Path, engine: Engine, listener: Listener) -> None:
    """Read the stored results, and train the other runs."""
    owners = {job: study for study in studies for job in _jobs(study, teachers)}
    done = [job for job in owners if job.done]
    for job in done:
        _store(owners[job], job, run_job(job))
    run_jobs(studies, owners, set(done), _store, engine, listener)


def _jobs(study: Study, teachers: Path) -> Iterator[Job]:
    for key in study.keys:  # outer loop, because the data of a fold and a seed are loaded once for all methods
        for row in study.methods:
            yield Job(row, study.config(row, key), run_folder(study.folder, row, key), teachers)


def _store(study: Study, job: Job, outcome: Outcome) -> None:
    if outcome.result is not None:
        study.results.setdefault(job.row, {})[study.key_of(job.config)] = cast(AnyResult, outcome.result)
    else:
        study.errors[job.row] = str(outcome.error)
