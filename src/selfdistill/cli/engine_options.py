"""The options that say where a study's runs are made, shared by the commands that make several."""

from typing import Annotated, Any

import typer

Engine = Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster.")]
Workers = Annotated[
    int | None, typer.Option(help="Runs made at a time; default: 1, with Ray one for each machine of the cluster.")
]
Threads = Annotated[int | None, typer.Option(help="CPU threads of each run; default: the cores shared out.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster; default: one on this machine.")]


def engine_and_watch(name: str, workers: int | None, threads: int | None, address: str | None) -> dict[str, Any]:
    """The engine of these options and what is shown while it works, as `compare_all` takes them."""
    from selfdistill.cli.console import console
    from selfdistill.study.engine.engine import SerialEngine, make_engine
    from selfdistill.study.engine.live_table import watch_for

    engine = make_engine(name, workers, threads, address)
    return {"engine": engine, "watch": watch_for(console, one_by_one=isinstance(engine, SerialEngine))}
