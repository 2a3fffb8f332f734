"""A study's table while it runs."""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from selfdistill.study.analysis.statistics import MeanStd
from selfdistill.study.engine.job import Job, Outcome
from selfdistill.study.engine.progress import PlainLines, Unwatched, Watch
from selfdistill.study.study import Study, about
from selfdistill.train.monitor.progress import in_words


class LiveTable(Unwatched):
    """What each row has shown so far, and below it what runs now; gone once the study is over."""

    def __init__(self, console: Console):
        self.studies: Sequence[Study] = ()
        self.count = self.jobs = self.made = 0
        self.began = 0.0
        self.now: dict[Job, list[str]] = {}  # title, and the last epoch's numbers
        self.live = Live(console=console, get_renderable=self.drawn, refresh_per_second=2, transient=True)

    def begin(self, studies: Sequence[Study], done: int, jobs: int) -> None:
        """Show the table."""
        self.studies, self.count, self.jobs, self.made = studies, done, jobs, 0
        self.began = time.monotonic()
        if done < jobs:
            self.live.start()

    def start(self, job: Job, title: str, epochs: int) -> None:
        """Show that a run begins."""
        self.now[job] = [title, f"of {epochs} epochs" if epochs else ""]

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """Show the epoch's numbers."""
        self.now[job][1] = f"epoch {row['epoch']}  {in_words(row)}"

    def note(self, job: Job, words: str) -> None:
        """Show what the job is at."""
        if job in self.now:  # a note may come before the start
            self.now[job][1] = words

    def done(self, job: Job, outcome: Outcome) -> None:
        """Show what became of a run."""
        self.now.pop(job, None)
        self.count, self.made = self.count + 1, self.made + 1

    def end(self) -> None:
        """Take the table away."""
        self.live.stop()

    def drawn(self) -> Group:
        """The table as it stands."""
        several = len(self.studies) > 1
        table = Table("method", "top-1 %", "runs", box=None, header_style="bold", pad_edge=False)
        for study in self.studies:
            for row in study.methods:
                name = f"{row}, {about(study.base)}" if several else row
                table.add_row(Text(name), *_state(study, row))
        return Group(table, *(_line("  ".join(each)) for each in self.now.values()), Text(self._progress()))

    def _progress(self) -> str:
        words = f"{self.count} of {self.jobs} runs"
        if not self.made:
            return words
        left = (time.monotonic() - self.began) / self.made * (self.jobs - self.count)
        return f"{words}, about {left / 60:.0f} minutes left" if left >= 90 else f"{words}, about {left:.0f} s left"


def watch_for(console: Console, one_by_one: bool) -> Watch:
    """A live table on a terminal, lines elsewhere."""
    return LiveTable(console) if console.is_terminal else PlainLines(console, one_by_one)


def _line(words: str) -> Text:
    return Text(words, "dim", no_wrap=True, overflow="ellipsis")


def _state(study: Study, row: str) -> tuple[str, str]:
    """A row's accuracy so far, and how many of its runs are done."""
    found = [each["top1"] for each in study.results.get(row, {}).values()]
    spread = MeanStd.of(found) if found else None
    mean = f"{spread.mean:.2f}" + (f" ± {spread.std:.2f}" if spread.std is not None else "") if spread else ""
    failed = "  failed" if row in study.errors else ""
    return mean, f"{len(found)} of {len(study.seeds)}{failed}"
