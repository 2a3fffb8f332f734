"""One run of a study, wherever it is made."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from selfdistill.data import Splits
from selfdistill.errors import UserError
from selfdistill.files import make_folder
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.study.study import about
from selfdistill.train import networks as teacher
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.progress import Display
from selfdistill.train.run import load_data, run


@dataclass(frozen=True)
class Job:
    """A run that is to be made, or taken up, or only read."""

    row: str
    config: RunConfig
    folder: Path
    teachers: Path  # where those that are trained first are kept, for all runs

    def __str__(self) -> str:
        return f"{self.row}, {about(self.config)}, seed {self.config.seed}"

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return (self.folder / teacher.RESULT).exists()

    @property
    def epochs(self) -> int:
        """How long it is."""
        return self.config.epochs

    def make(self, display: Display | None = None) -> dict[str, Any]:
        """Make the run, its teachers first; give its result."""
        splits = None if self.done else data_of(self.config)
        if splits is not None:
            _make_teachers(self.config, self.teachers, splits, display)
        return dict(run(self.config, self.folder, resume=True, display=display, teachers=self.teachers, splits=splits))

    def said(self, result: dict[str, Any]) -> str:
        """Its result in a few words."""
        return f"top-1 {result['top1']:.2f}%"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or what went wrong."""

    result: dict[str, Any] | None = None
    error: str | None = None


def attempt(job: Job, display: Display | None = None) -> Outcome:
    """Make a job; what goes wrong is told, not raised.

    A method of somebody's own may raise anything; the others' runs must not be lost.
    """
    try:
        return Outcome(job.make(display))
    except UserError as error:
        return Outcome(error=str(error))
    except Exception as error:
        return Outcome(error=f"{type(error).__name__}: {error}")


def data_of(config: RunConfig) -> Splits:
    """The data of a run; kept until another seed's or set's is asked for."""
    return _loaded(replace(config, method="", model="", epochs=1, warmup=0))


@lru_cache(maxsize=1)
def _loaded(config: RunConfig) -> Splits:
    return load_data(config)


def _make_teachers(config: RunConfig, teachers: Path, splits: Splits, display: Display | None) -> None:
    """Train what this run needs and nobody has trained; who else needs it waits."""
    for role in parse_method(config.method).networks.values():
        planned = teacher.plan(role, config) if isinstance(role, Teacher) else None
        if isinstance(planned, RunConfig):
            _make_teachers(planned, teachers, splits, display)
            with _alone(folder := teacher.folder_for(planned, teachers)):
                run(planned, folder, resume=True, display=display, splits=splits, teachers=teachers)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder against the study's other processes; the lock of one that died is free."""
    lock = make_folder(folder.parent) / f".{folder.name}.lock"
    with FileLock(lock):
        yield
