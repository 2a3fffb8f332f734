"""Listener: hooks for the progress of runs and studies, which displays, pipes and trackers override."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfdistill.records import AnyEpoch


@dataclass(frozen=True)
class RowStatus:
    """One row of a study while it runs."""

    name: str
    title: str  # of the score, such as top-1
    scores: Sequence[float]  # of the finished runs, in percent
    seeds: int  # runs in all
    failed: bool


@dataclass(frozen=True)
class JobStatus:
    """A finished job of a study: a run, or the evaluation of one."""

    name: str
    folder: Path
    summary: str  # "top-1 61.69%", or "failed: …"
    result: Mapping[str, object] | None  # None if it failed


class Listener:
    """Receives the events of runs and studies; every hook does nothing unless a subclass overrides it.

    A run calls `on_run_files` and `on_run_start`, then `on_step`, `on_epoch`, `on_checkpoint` and `on_note` as it goes,
    `on_run_end` even if it fails, and `on_result` last. A study calls `on_study_start`, `on_job_end` after each job,
    and `on_study_end`; the runs of a job go to the listener that `for_job` returns.

    >>> class Notes(Listener):
    ...     def on_note(self, text): print(text)
    >>> Notes().on_note("resumed")
    resumed
    """

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """A run of `epochs` epochs with `steps` steps each begins; 0 epochs for an evaluation."""

    def on_run_files(self, folder: Path) -> None:
        """run.json has been written to this folder, which receives the other records of the run too."""

    def on_step(self) -> None:
        """The optimizer has taken a step."""

    def on_epoch(self, row: AnyEpoch) -> None:
        """An epoch has ended; `row` is its line of log.jsonl."""

    def on_checkpoint(self, path: Path) -> None:
        """A checkpoint has been written."""

    def on_note(self, text: str) -> None:
        """A message for the user, such as that a checkpoint is resumed."""

    def on_run_end(self) -> None:
        """The training of the run has ended, finished or not."""

    def on_result(self, result: Mapping[str, object]) -> None:
        """The run is finished; `result` is the content of result.json."""

    def on_study_start(self, rows: Callable[[], list[RowStatus]], done: int, jobs: int) -> None:
        """A study begins with `done` of `jobs` jobs finished; `rows` returns its current table."""

    def for_job(self, name: str) -> "Listener":
        """Return the listener for the runs of a job, including those of its teachers."""
        return self

    def on_job_end(self, job: JobStatus) -> None:
        """A job has ended; its result is in the study's table already."""

    def on_study_end(self) -> None:
        """The study has ended, finished or interrupted."""


class Listeners(Listener):
    """Forward every call to several listeners, in order."""

    def __init__(self, *listeners: Listener):
        self.listeners = listeners

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_run_start(title, epochs, steps)

    def on_run_files(self, folder: Path) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_run_files(folder)

    def on_step(self) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_step()

    def on_epoch(self, row: AnyEpoch) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_epoch(row)

    def on_checkpoint(self, path: Path) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_checkpoint(path)

    def on_note(self, text: str) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_note(text)

    def on_run_end(self) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_run_end()

    def on_result(self, result: Mapping[str, object]) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_result(result)

    def on_study_start(self, rows: Callable[[], list[RowStatus]], done: int, jobs: int) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_study_start(rows, done, jobs)

    def for_job(self, name: str) -> Listener:
        """Return the listeners of the job together."""
        return Listeners(*(each.for_job(name) for each in self.listeners))

    def on_job_end(self, job: JobStatus) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_job_end(job)

    def on_study_end(self) -> None:
        """Forward the call."""
        for each in self.listeners:
            each.on_study_end()
