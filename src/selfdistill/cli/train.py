"""`selfdistill train`: one run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.options import configured

SHOWN = ("top1", "top5", "nll", "ece", "parameters", "added_parameters", "step_ms")


@configured()
def train(
    method: Annotated[str, typer.Argument(help='Method expression, as in "drg(alpha=0.2) + dsr()".')],
    seed: Annotated[int, typer.Option(help="Of every random draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/METHOD-DATA-MODEL-SEED.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with this run where it was interrupted.")
    ] = True,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints; one is written after each epoch.")] = (
        600.0
    ),
    *,
    recipe: dict[str, Any],
) -> None:
    """Train one model by one method; its folder holds all there is to know of it.

    A finished run is not trained again and an interrupted one goes on, so repeating the command is safe.
    """
    from selfdistill.cli.console import aligned, console
    from selfdistill.files import folder_name
    from selfdistill.train.config import RunConfig
    from selfdistill.train.monitor.progress import display_for
    from selfdistill.train.run import run

    config = RunConfig(method, seed=seed, **recipe)
    folder = out or Path("runs") / folder_name(f"{method}-{config.data}-{config.model}-{seed}")
    result = run(config, folder, resume=resume, display=display_for(console), save_every=save_every)
    print(aligned([(name, in_figures(result[name])) for name in SHOWN if name in result]))
    print(f"run: {folder}")


def in_figures(value: float) -> str:
    """A measure with four figures, a count with its thousands apart."""
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
