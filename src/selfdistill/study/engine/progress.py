"""Progress of a study as lines of text."""

from collections.abc import Callable

from rich.console import Console

from selfdistill.records import AnyEpoch
from selfdistill.train.monitor.listener import JobStatus, Listener, RowStatus
from selfdistill.train.monitor.progress import format_row


class StudyLines(Listener):
    """Print a line per finished job, or with `epochs` a line per epoch, for logs and pipes."""

    def __init__(self, console: Console, epochs: bool):
        self.console, self.epochs = console, epochs
        self.total = 0
        self.started = False

    def on_study_start(self, rows: Callable[[], list[RowStatus]], done: int, jobs: int) -> None:
        """Print the number of finished jobs."""
        self.count, self.jobs, self.started = done, jobs, True
        if done and done < jobs:
            self._print(f"{done} of {jobs} runs are done already")

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Print the title."""
        self.total = epochs
        if self.epochs:
            self._print(title)

    def on_note(self, text: str) -> None:
        """Print a note on the data; those of the jobs are left out."""
        if not self.started:
            self._print(text)

    def on_epoch(self, row: AnyEpoch) -> None:
        """Print the epoch's numbers."""
        if self.epochs:
            self._print(f"  epoch {row['epoch']}/{self.total}  {format_row(row)}")

    def on_job_end(self, job: JobStatus) -> None:
        """Print the job's summary."""
        self.count += 1
        if not self.epochs:
            self._print(f"{job.name}: {job.summary} ({self.count} of {self.jobs})")

    def _print(self, words: str) -> None:
        self.console.print(words, highlight=False, markup=False, soft_wrap=True)
