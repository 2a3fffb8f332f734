"""`selfdistill study`: the grid of a Python file."""

from pathlib import Path
from typing import Annotated

import typer

from selfdistill.cli.compare import run_grid
from selfdistill.cli.engine_options import Address, Engine, Threads, Workers, engine_and_listener
from selfdistill.cli.panels import RUN
from selfdistill.cli.report import Page
from selfdistill.cli.tracking import Log


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Python file with STUDY = Grid(…); see studies/.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study; default: runs/FILE.", rich_help_panel=RUN)
    ] = None,
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
    report: Page = False,
    log: Log = None,
) -> None:
    """Run the study that a Python file defines, and print its tables.

    Re-running the command skips finished runs and resumes interrupted ones.
    """
    from selfdistill.study.grid_file import read_grid

    grid = read_grid(file)
    place = out or Path("runs") / file.stem
    run_grid(grid, place, engine_and_listener(engine, workers, threads, address), log, report=report)
