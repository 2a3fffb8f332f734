"""`selfdistill tune`: search the arguments of methods, and compare default and tuned."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.engine_options import Address, Engine, Threads, Workers, engine_and_listener
from selfdistill.cli.options import run_options
from selfdistill.cli.panels import RUN
from selfdistill.train.config import RunConfig

if TYPE_CHECKING:
    from selfdistill.study.tuning.outcome import Tuning

DEFAULT = ("ce()", "lightskd()", "csd()")
SearchedMethods = Annotated[
    list[str] | None,
    typer.Option(
        help='Method expressions; an argument may be a range: --methods "scd(weight=0.1..30)" "drg()".',
        rich_help_panel=RUN,
    ),
]


@run_options(validation=0.2)
def tune(
    methods: SearchedMethods = None,
    budget: Annotated[int, typer.Option(help="Trials per method; ce() has as many.", rich_help_panel=RUN)] = 40,
    seeds: Annotated[
        int, typer.Option(help="Fresh seeds of the final comparison; they follow --seed.", rich_help_panel=RUN)
    ] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Folder; default: runs/DATA[-LIMIT]-MODEL-EPOCHS-tune.", rich_help_panel=RUN)
    ] = None,
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
    seed: Annotated[int, typer.Option(help="Seed of the search.", rich_help_panel=RUN)] = 0,
    *,
    config: RunConfig,
) -> None:
    """Search each method's arguments, learning rate and weight decay on held-out training images.

    The default and the chosen values of each method are then trained with fresh seeds and compared on the test set.
    Re-running the command continues; finished trials are not repeated.
    """
    from dataclasses import replace

    from selfdistill.study import tune as tune_methods
    from selfdistill.study.tuning.tune import tuning_folder

    base = replace(config, seed=seed)
    folder = out or tuning_folder(base)
    parts = engine_and_listener(engine, workers, threads, address)
    show(tune_methods(methods or DEFAULT, base, budget=budget, seeds=seeds, folder=folder, **parts), folder)


def show(tuning: "Tuning", folder: Path) -> None:
    """Print the table, the cost and the chosen options, and write tune.html and tune.md."""
    from selfdistill.cli.console import report_failures, show_table
    from selfdistill.report import write_tuning
    from selfdistill.report.tables.tuning import tuning_footer, tuning_header, tuning_rows

    print()
    show_table(tuning_header(tuning), tuning_rows(tuning))
    print("\n" + "\n".join(tuning_footer(tuning)) + "\n")
    for search in tuning.searches:
        print(tuning.command(search))
    print()
    for path in write_tuning(tuning, folder):
        print(path)
    report_failures([tuning.study])
