"""Progress of a study as a live table on the terminal."""

import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from selfdistill.records import AnyEpoch
from selfdistill.study.analysis.statistics import MeanStd
from selfdistill.study.engine.progress import StudyLines
from selfdistill.train.monitor.listener import JobStatus, Listener, RowStatus
from selfdistill.train.monitor.progress import format_row


class LiveTable(Listener):
    """Show each row's results so far, and below them the runs in progress; removed at the end of the study."""

    def __init__(self, console: Console):
        self.rows: Callable[[], list[RowStatus]] = list
        self.count = self.jobs = self.finished = 0
        self.began = 0.0
        self.running: dict[str, list[str]] = {}  # by job: title, and the last epoch's numbers
        self.console = console
        self.live = Live(console=console, get_renderable=self.render, refresh_per_second=2, transient=True)

    def on_study_start(self, rows: Callable[[], list[RowStatus]], done: int, jobs: int) -> None:
        """Show the table."""
        self.rows, self.count, self.jobs, self.finished = rows, done, jobs, 0
        self.began = time.monotonic()
        if done < jobs:
            self.live.start()

    def on_note(self, text: str) -> None:
        """Print the note above the table."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def for_job(self, name: str) -> Listener:
        """Return the listener of one job's line below the table."""
        return JobLine(self.running, name)

    def on_job_end(self, job: JobStatus) -> None:
        """Remove the job's line and count it."""
        self.running.pop(job.name, None)
        self.count, self.finished = self.count + 1, self.finished + 1

    def on_study_end(self) -> None:
        """Remove the table."""
        self.live.stop()

    def render(self) -> Group:
        """Render the table as it stands."""
        rows = self.rows()
        title = " or ".join(dict.fromkeys(row.title for row in rows)) or "score"
        table = Table("method", f"{title} %", "runs", box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(Text(row.name), *_cells(row))
        return Group(table, *(_line("  ".join(each)) for each in self.running.values()), Text(self._remaining()))

    def _remaining(self) -> str:
        words = f"{self.count} of {self.jobs} runs"
        if not self.finished:
            return words
        left = (time.monotonic() - self.began) / self.finished * (self.jobs - self.count)
        return f"{words}, about {left / 60:.0f} minutes left" if left >= 90 else f"{words}, about {left:.0f} s left"


class JobLine(Listener):
    """Keep the line of one running job up to date."""

    def __init__(self, running: dict[str, list[str]], name: str):
        self.running, self.name = running, name

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Add the line."""
        self.running[self.name] = [title, f"of {epochs} epochs" if epochs else ""]

    def on_epoch(self, row: AnyEpoch) -> None:
        """Show the epoch's numbers."""
        self.running[self.name][1] = f"epoch {row['epoch']}  {format_row(row)}"

    def on_note(self, text: str) -> None:
        """Show a note; notes before the start of the run are dropped."""
        if self.name in self.running:
            self.running[self.name][1] = text


def study_progress_for(console: Console, serial: bool) -> Listener:
    """Return a live table for a terminal, lines for anything else."""
    return LiveTable(console) if console.is_terminal else StudyLines(console, serial)


def _line(words: str) -> Text:
    return Text(words, "dim", no_wrap=True, overflow="ellipsis")


def _cells(row: RowStatus) -> tuple[str, str]:
    """Format a row's accuracy so far, and its number of finished runs."""
    spread = MeanStd.of(list(row.scores)) if row.scores else None
    mean = f"{spread.mean:.2f}" + (f" ± {spread.std:.2f}" if spread.std is not None else "") if spread else ""
    return mean, f"{len(row.scores)} of {row.seeds}{'  failed' if row.failed else ''}"
