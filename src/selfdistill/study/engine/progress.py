"""Who is told how a study goes."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console

from selfdistill.study.engine.job import Job, Outcome
from selfdistill.study.study import Study
from selfdistill.train.monitor.progress import Silent, in_words


class Watch(Protocol):
    """Is told each step of a study."""

    def begin(self, studies: Sequence[Study], done: int, jobs: int) -> None:
        """Tell that of so many jobs so many are done, and that the others begin."""

    def start(self, job: Job, title: str, epochs: int) -> None:
        """Tell that a run begins: the job's own, or of a teacher that it needs."""

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """Tell a row of the log of the run that the job is at."""

    def note(self, job: Job, words: str) -> None:
        """Tell what the job is at, in words."""

    def done(self, job: Job, outcome: Outcome) -> None:
        """Tell what became of a job; the study holds it already."""

    def end(self) -> None:
        """Tell that all is done, or that it was interrupted."""


class Unwatched:
    """Shows nothing."""

    def begin(self, studies: Sequence[Study], done: int, jobs: int) -> None:
        """Show nothing."""

    def start(self, job: Job, title: str, epochs: int) -> None:
        """Show nothing."""

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """Show nothing."""

    def note(self, job: Job, words: str) -> None:
        """Show nothing."""

    def done(self, job: Job, outcome: Outcome) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class PlainLines(Unwatched):
    """A line for each run that ends, for logs and pipes; a line an epoch too, where runs are made one by one."""

    def __init__(self, console: Console, epochs: bool):
        self.console, self.epochs = console, epochs
        self.total = 0

    def begin(self, studies: Sequence[Study], done: int, jobs: int) -> None:
        """Show how much is done already."""
        self.began, self.count, self.jobs = time.monotonic(), done, jobs
        if done and done < jobs:
            self._print(f"{done} of {jobs} runs are done already")

    def start(self, job: Job, title: str, epochs: int) -> None:
        """Show what runs."""
        self.total = epochs
        if self.epochs:
            self._print(title)

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """Show the epoch's numbers."""
        if self.epochs:
            self._print(f"  epoch {row['epoch']}/{self.total}  {in_words(row)}")

    def done(self, job: Job, outcome: Outcome) -> None:
        """Show what became of a run."""
        self.count += 1
        if not self.epochs:
            what = f"failed: {outcome.error}" if outcome.result is None else job.said(outcome.result)
            self._print(f"{job}: {what} ({self.count} of {self.jobs})")

    def _print(self, words: str) -> None:
        self.console.print(words, highlight=False, markup=False, soft_wrap=True)


class Told(Silent):
    """A run's display that tells a watch."""

    def __init__(self, watch: Watch, job: Job):
        self.watch, self.job = watch, job

    def start(self, title: str, epochs: int, steps: int) -> None:
        """Tell that a run begins."""
        self.watch.start(self.job, title, epochs)

    def epoch(self, row: dict[str, Any]) -> None:
        """Tell the epoch's row."""
        self.watch.epoch(self.job, row)

    def note(self, text: str) -> None:
        """Tell what happens."""
        self.watch.note(self.job, text)
