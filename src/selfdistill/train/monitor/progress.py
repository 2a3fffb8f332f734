"""Progress of a run on the terminal: a bar, or a line per epoch."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from selfdistill.records import AnyEpoch, number, task_of_epoch
from selfdistill.train.monitor.listener import Listener


class EpochLines(Listener):
    """Print a line per epoch, for logs and pipes."""

    def __init__(self, console: Console):
        self.console = console

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Print the title."""
        self.epochs = epochs
        self.console.print(title, highlight=False, markup=False)

    def on_note(self, text: str) -> None:
        """Print the note on its own line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def on_epoch(self, row: AnyEpoch) -> None:
        """Print the epoch's numbers."""
        words = f"  epoch {row['epoch']}/{self.epochs}  {format_row(row)}"
        self.console.print(words, highlight=False, markup=False, soft_wrap=True)


class ProgressBar(Listener):
    """Show a progress bar by step, with the metrics of the last epoch."""

    def __init__(self, console: Console):
        self.console = console
        self.progress: Progress | None = None

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Show an empty bar."""
        words = (TextColumn(each, markup=False) for each in ("{task.description}", "{task.fields[row]}"))
        columns = (BarColumn(24), *words, TimeRemainingColumn())
        self.progress = Progress(*columns, console=self.console, transient=True)
        self.task = self.progress.add_task(title, total=epochs * steps, row="")
        self.steps = steps
        self.progress.start()

    def on_step(self) -> None:
        """Advance the bar."""
        if self.progress:
            self.progress.advance(self.task)

    def on_epoch(self, row: AnyEpoch) -> None:
        """Show the epoch's numbers."""
        if self.progress:
            words = f"epoch {row['epoch']}  {format_row(row)}"
            self.progress.update(self.task, completed=row["epoch"] * self.steps, row=words)

    def on_note(self, text: str) -> None:
        """Print the note above the bar."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def on_run_end(self) -> None:
        """Remove the bar."""
        if self.progress:
            self.progress.stop()


def progress_for(console: Console) -> Listener:
    """Return a progress bar for a terminal, lines for anything else."""
    return ProgressBar(console) if console.is_terminal else EpochLines(console)


def format_row(row: AnyEpoch) -> str:
    """Format an epoch's losses, accuracy and speed as one line."""
    losses = "  ".join(f"{name} {loss:.3f}" for name, loss in row["losses"].items())
    task = task_of_epoch(row)
    score = f"  validation {task.title} {number(row, task.validation):.2f}%" if task.validation in row else ""
    training = f"train {task.training_title} {number(row, task.training):.1f}%"
    return f"{losses}  {training}{score}  {row['images_per_second']:.0f} images/s"
