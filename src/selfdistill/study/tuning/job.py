"""Jobs of a search: a run trained to a rung, where it stops with its checkpoint; the test set is never read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import is_file
from selfdistill.records import LOG, AnyEpoch, number, read_log
from selfdistill.study.engine.job import Job, load_splits, make_teachers
from selfdistill.task import Task
from selfdistill.train.monitor.listener import Listener, Listeners
from selfdistill.train.persist.checkpoint import LAST, PREVIOUS
from selfdistill.train.run import resolve, run, stored_result


class RungReached(Exception):
    """Ends a run at its rung."""


class StopAtRung(Listener):
    """Stop a run after an epoch; its log is written by then."""

    def __init__(self, folder: Path, until: int):
        self.folder, self.until = folder, until

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Stop a run whose checkpoint is at the rung already."""
        if epochs_logged(self.folder) >= self.until:
            raise RungReached

    def on_epoch(self, row: AnyEpoch) -> None:
        """Stop at the rung."""
        if row["epoch"] >= self.until:
            raise RungReached


@dataclass(frozen=True)
class TrialJob(Job):
    """A trial's run to epoch `until`; a later job of the same folder continues from its checkpoint, exactly."""

    trial: int = 0
    until: int = 1

    def __str__(self) -> str:
        return f"{self.row}, trial {self.trial}, epoch {self.until}"

    @property
    def done(self) -> bool:
        """Return True if the log has the epoch."""
        return epochs_logged(self.folder) >= self.until

    @property
    def epochs(self) -> int:
        """Epochs of the run up to the rung."""
        return self.until

    def run(self, listener: Listener | None = None) -> Mapping[str, object]:
        """Train to the rung, and return the score there and the seconds so far."""
        if not self.done:
            self._train(listener or Listener())
        return self.measure()

    def measure(self) -> Mapping[str, object]:
        """Read the score at the rung in percent, and the seconds so far. Raises `UserError` for another run's log."""
        stored_result(resolve(self.config, self.folder), resume=True)
        rows = read_rows(self.folder, self.config.resolved_task)[: self.until]
        score = number(rows[-1], self.config.resolved_task.validation)
        return {"score": score, "seconds": sum(each["seconds"] for each in rows)}

    def summarize(self, result: Mapping[str, object]) -> str:
        """Format the score."""
        return f"{self.config.resolved_task.title} {result['score']:.2f}% on the validation images"

    def _train(self, listener: Listener) -> None:
        splits = load_splits(self.config)
        make_teachers(self.config, self.teachers, splits, listener)
        stop = Listeners(listener, StopAtRung(self.folder, self.until))
        try:
            run(self.config, self.folder, listener=stop, teachers=self.teachers, splits=splits)
        except RungReached:
            return
        raise UserError(f"{self.folder} holds a finished run, which no trial is; remove the folder")


def epochs_logged(folder: Path) -> int:
    """Return the number of epochs in a run's log; 0 without one."""
    return len((folder / LOG).read_text().splitlines()) if is_file(folder / LOG) else 0


def read_rows(folder: Path, task: Task) -> list[AnyEpoch]:
    """Read the log of an unfinished run."""
    return read_log(folder, epochs_logged(folder), task)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a trial that has ended."""
    for name in (LAST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
