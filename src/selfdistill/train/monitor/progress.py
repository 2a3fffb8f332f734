"""What a person sees of a run."""

from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Display(Protocol):
    """Who is told how a run goes."""

    def start(self, title: str, epochs: int, steps: int) -> None:
        """Tell that a run of so many epochs of so many steps begins."""

    def step(self) -> None:
        """Tell that a step was made."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Tell an epoch's row of the log."""

    def note(self, text: str) -> None:
        """Tell something that happens once."""

    def end(self) -> None:
        """Tell that the run is over, finished or not."""


class Silent:
    """Shows nothing."""

    def start(self, title: str, epochs: int, steps: int) -> None:
        """Show nothing."""

    def step(self) -> None:
        """Show nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class Lines(Silent):
    """A line an epoch, for logs and pipes."""

    def __init__(self, console: Console):
        self.console = console

    def start(self, title: str, epochs: int, steps: int) -> None:
        """Show what runs."""
        self.epochs = epochs
        self.console.print(title, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """Show it on a line of its own."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show the epoch's numbers."""
        words = f"  epoch {row['epoch']}/{self.epochs}  {in_words(row)}"
        self.console.print(words, highlight=False, markup=False, soft_wrap=True)


class Bar(Silent):
    """A bar that moves with every step, the last epoch's numbers beside it."""

    def __init__(self, console: Console):
        self.console = console
        self.progress: Progress | None = None

    def start(self, title: str, epochs: int, steps: int) -> None:
        """Show an empty bar."""
        words = (TextColumn(each, markup=False) for each in ("{task.description}", "{task.fields[row]}"))
        columns = (BarColumn(24), *words, TimeRemainingColumn())
        self.progress = Progress(*columns, console=self.console, transient=True)
        self.task = self.progress.add_task(title, total=epochs * steps, row="")
        self.steps = steps
        self.progress.start()

    def step(self) -> None:
        """Move on by a step."""
        if self.progress:
            self.progress.advance(self.task)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show the epoch's numbers."""
        if self.progress:
            words = f"epoch {row['epoch']}  {in_words(row)}"
            self.progress.update(self.task, completed=row["epoch"] * self.steps, row=words)

    def note(self, text: str) -> None:
        """Show it above the bar."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def end(self) -> None:
        """Take the bar away."""
        if self.progress:
            self.progress.stop()


def display_for(console: Console) -> Display:
    """A bar on a terminal, lines elsewhere."""
    return Bar(console) if console.is_terminal else Lines(console)


def in_words(row: dict[str, Any]) -> str:
    """An epoch's losses, accuracy and speed on one line."""
    losses = "  ".join(f"{name} {loss:.3f}" for name, loss in row["losses"].items())
    held = f"  validation top-1 {row['validation_top1']:.2f}%" if "validation_top1" in row else ""
    return f"{losses}  train top-1 {row['train_top1']:.1f}%{held}  {row['images_per_second']:.0f} images/s"
