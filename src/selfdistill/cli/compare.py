"""`selfdistill compare`: methods side by side over seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.engine_options import Address, Engine, Threads, Workers, engine_and_watch
from selfdistill.cli.evaluate import Names, Strange, TestLimit, show_measures
from selfdistill.cli.options import Methods, configured, expressions
from selfdistill.cli.report import Page, write_page

DEFAULT = ("ce()", "label_smoothing()", "scd()", "drg()", "dsr()", "lightskd()", "csd()", "stkd()")
Models = Annotated[list[str] | None, typer.Option(help="Several models, each with each; default: --model.")]
Datasets = Annotated[list[str] | None, typer.Option(help="Several data sets, each with each; default: --data.")]
LabelNoises = Annotated[
    list[float] | None, typer.Option(help="Several shares of wrong labels, each with each; default: --label-noise.")
]
Controls = Annotated[
    bool, typer.Option("--controls", help="Add each method's heads and passes without its distillation.")
]
EqualCompute = Annotated[
    bool, typer.Option("--equal-compute", help="Add ce() trained for as much longer as each method costs more.")
]


@configured()
def compare(
    methods: Methods = None,
    models: Models = None,
    datasets: Datasets = None,
    label_noises: LabelNoises = None,
    seeds: Annotated[int, typer.Option(help="Runs of each method, of seeds 0, 1, 2 …")] = 3,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; default: runs/DATA-MODEL-EPOCHS.")] = None,
    controls: Controls = False,
    equal_compute: EqualCompute = False,
    measures: Names = None,
    ood: Strange = None,
    test_limit: TestLimit = None,
    report: Page = False,
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; the same command does so anyway.")] = False,
    *,
    recipe: dict[str, Any],
) -> None:
    """Compare methods: train each with every seed and print a table.

    Finished runs are not trained again and interrupted ones go on, so repeating the command is safe and quick.
    With --measures the finished runs are then measured, as evaluate does.
    A teacher that a method asks for without naming one is trained first and kept.
    """
    from selfdistill.errors import UserError
    from selfdistill.study import Grid, compare_all
    from selfdistill.train.config import RunConfig

    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, but is {seeds}")
    base = RunConfig("ce()", **recipe)
    grid = Grid(
        expressions(methods, DEFAULT),
        models or (),
        datasets or (),
        range(seeds),
        base,
        controls,
        equal_compute,
        label_noises or (),
        measures or (),
        ood,
        test_limit,
    )
    studies = compare_all(grid, out, **engine_and_watch(engine, workers, threads, address))
    show(studies, measured=grid.questions is not None, page=(out or grid.folder) if report else None)


def show(studies: Sequence[Any], *, measured: bool = False, page: Path | None = None) -> None:
    """Print each study's table and measures, write their page into a folder if one is given, and print what failed.

    Exit status 1 where something did.
    """
    from selfdistill.cli.console import end_of

    finished = [study for study in studies if study.results]
    for study in finished:
        show_study(study)
        if measured:
            show_measures(study)
    if page is not None and finished:
        print()
        write_page(finished, page)
    end_of(studies)


def show_study(study: Any) -> None:
    """Print a study's table and write the whole of it to table.md."""
    from selfdistill.cli.console import show_table
    from selfdistill.files import write_whole
    from selfdistill.report.tables.accuracy import footer, header, markdown, rows

    print()
    show_table(header(study), rows(study))
    print("\n" + "\n".join(footer(study)))
    write_whole(study.folder / "table.md", lambda beside: beside.write_text(markdown(study)))
