"""Options of the engine that executes a study's runs, shared by the commands that make several runs."""

from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from selfdistill.cli.panels import ENGINE

if TYPE_CHECKING:
    from selfdistill.study.engine.engine import Engine as RunEngine
    from selfdistill.train.monitor.listener import Listener

Engine = Annotated[
    str, typer.Option(help="Engine: local (processes on this machine) or ray (a Ray cluster).", rich_help_panel=ENGINE)
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Concurrent runs; default: 1, or with Ray one per machine of the cluster.", rich_help_panel=ENGINE
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="CPU threads per run; default: the cores divided among the concurrent runs.", rich_help_panel=ENGINE
    ),
]
Address = Annotated[
    str | None,
    typer.Option(help="Address of the Ray cluster; default: start one on this machine.", rich_help_panel=ENGINE),
]


class EngineAndListener(TypedDict):
    """Keyword arguments of `compare_all`."""

    engine: "RunEngine"
    listener: "Listener"


def engine_and_listener(name: str, workers: int | None, threads: int | None, address: str | None) -> EngineAndListener:
    """Make the engine and the progress display of a study. Raises `UserError` for an unknown engine."""
    from selfdistill.cli.console import console
    from selfdistill.study.engine.engine import SerialEngine, make_engine
    from selfdistill.study.engine.live_table import study_progress_for

    engine = make_engine(name, workers, threads, address)
    return {"engine": engine, "listener": study_progress_for(console, serial=isinstance(engine, SerialEngine))}
