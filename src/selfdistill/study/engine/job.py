"""A job of a study: one run, executed in any process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import cast

from filelock import FileLock

from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.kinds import AnySplits
from selfdistill.errors import UserError
from selfdistill.files import exists, make_folder
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.records import RESULT, AnyResult, score_of
from selfdistill.study.study import describe_runs
from selfdistill.train import networks as teacher
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import JobStatus, Listener
from selfdistill.train.networks import center_crop_of
from selfdistill.train.run import load_data, run


@dataclass(frozen=True)
class Job:
    """A run to train, resume or read."""

    row: str
    config: RunConfig
    folder: Path
    teachers: Path  # runs of teachers that are trained first, shared by all jobs

    def __str__(self) -> str:
        return f"{self.row}, {describe_runs(self.config)}, {self.config.repetition}"

    @property
    def done(self) -> bool:
        """Return True if the result is stored."""
        return exists(self.folder / RESULT)

    @property
    def epochs(self) -> int:
        """Epochs of the run."""
        return ceil(self.config.epochs)

    def run(self, listener: Listener | None = None) -> Mapping[str, object]:
        """Train the run, its teachers first, and return the result."""
        splits = None if self.done else load_splits(self.config)
        if splits is not None:
            make_teachers(self.config, self.teachers, splits, listener)
        return run(self.config, self.folder, resume=True, listener=listener, teachers=self.teachers, splits=splits)

    def summarize(self, result: Mapping[str, object]) -> str:
        """Format the result in a few words."""
        task = self.config.resolved_task
        return f"{task.title} {score_of(cast(AnyResult, result), task):.2f}%"

    def status(self, outcome: "Outcome") -> JobStatus:
        """Describe the job and its outcome for a listener."""
        failed = outcome.result is None
        summary = f"failed: {outcome.error}" if outcome.result is None else self.summarize(outcome.result)
        return JobStatus(str(self), self.folder, summary, None if failed else outcome.result)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: a result, or an error."""

    result: Mapping[str, object] | None = None
    error: str | None = None


def run_job(job: Job, listener: Listener | None = None) -> Outcome:
    """Execute a job and return its outcome; an error becomes part of the outcome.

    Any exception is caught, since a custom method may raise anything and the other runs must continue.
    """
    try:
        return Outcome(job.run(listener))
    except UserError as error:
        return Outcome(error=str(error))
    except Exception as error:
        return Outcome(error=f"{type(error).__name__}: {error}")


def load_splits(config: RunConfig) -> AnySplits:
    """Load the data of a run; cached until another seed or data set is loaded, or the files change."""
    files = fingerprint(config.data)
    crop = center_crop_of(config)  # it may be that of the model's trained weights
    shared = replace(config, method="", model="", epochs=1, warmup=0, unfreeze=None, crop_pct=crop.crop_pct)
    shared = replace(shared, test_interpolation=crop.interpolation, pretrained=False, weights=None)
    return _loaded(shared, files and files["digest"])


@lru_cache(maxsize=1)
def _loaded(config: RunConfig, digest: str | None) -> AnySplits:
    return load_data(config)


def make_teachers(config: RunConfig, teachers: Path, splits: AnySplits, listener: Listener | None) -> None:
    """Train the teachers that a run needs and that do not exist yet; other processes that need them wait."""
    for role in parse_method(config.method).networks.values():
        planned = teacher.plan(role, config) if isinstance(role, Teacher) else None
        if isinstance(planned, RunConfig):
            make_teachers(planned, teachers, splits, listener)
            with _locked(folder := teacher.folder_for(planned, teachers)):
                run(planned, folder, resume=True, listener=listener, splits=splits, teachers=teachers)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against the study's other processes; a dead process releases its lock."""
    lock = make_folder(folder.parent) / f".{folder.name}.lock"
    with FileLock(lock):
        yield
