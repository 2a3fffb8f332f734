"""`selfdistill train`: one run."""

from pathlib import Path
from typing import Annotated

import typer

from selfdistill.cli.options import Folds, run_options
from selfdistill.cli.panels import RUN, panel_of
from selfdistill.cli.tracking import Log, together, tracking
from selfdistill.train.config import RunConfig

PRINTED = (
    *("top1", "top5", "miou", "pixel_accuracy", "mean_class_accuracy", "map", "micro_f1", "macro_f1", "nll", "ece"),
    *("parameters", "added_parameters", "step_ms"),
)


@run_options()
def train(
    method: Annotated[str, typer.Argument(help='Method expression, such as "drg(alpha=0.2) + dsr()".')],
    seed: Annotated[int, typer.Option(help="Random seed.", rich_help_panel=RUN)] = 0,
    folds: Folds = None,
    fold: Annotated[
        int,
        typer.Option(
            help="Fold that is the test set, from 0; the same for all seeds.", rich_help_panel=panel_of("test")
        ),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; default: runs/METHOD-DATA-MODEL-SEED[-FOLD].", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Resume an interrupted run.", rich_help_panel=RUN)
    ] = True,
    save_every: Annotated[
        float,
        typer.Option(
            help="Seconds between checkpoints within an epoch; one is written after each epoch too.",
            rich_help_panel=RUN,
        ),
    ] = (600.0),
    log: Log = None,
    *,
    config: RunConfig,
) -> None:
    """Train one model with one method, and write the run to a folder.

    Re-running the command resumes an interrupted run and skips a finished one.
    """
    from dataclasses import replace

    from selfdistill.cli.console import aligned, console
    from selfdistill.files import folder_name
    from selfdistill.train.monitor.progress import progress_for
    from selfdistill.train.run import run

    config = replace(config, method=method, seed=seed, folds=folds, fold=fold)
    part = f"-fold{fold}of{folds}" if folds else ""
    folder = out or Path("runs") / folder_name(f"{method}-{config.data}-{config.model}-{seed}{part}")
    with tracking(log, folder.resolve().parent.name) as trackers:
        listener = together(progress_for(console), trackers)
        result = run(config, folder, resume=resume, listener=listener, save_every=save_every)
    print(
        aligned(
            [
                (name, format_value(value))
                for name, value in result.items()
                if name in PRINTED and isinstance(value, int | float)
            ]
        )
    )
    print(f"run: {folder}")


def format_value(value: float) -> str:
    """Format a metric with four significant digits, a count with thousands separators."""
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
