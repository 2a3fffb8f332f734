"""`selfdistill compare`: compare methods over seeds or folds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.engine_options import Address, Engine, EngineAndListener, Threads, Workers, engine_and_listener
from selfdistill.cli.evaluate import Metrics, OtherClasses, TestLimit, show_metrics
from selfdistill.cli.options import Folds, Methods, method_expressions, run_options
from selfdistill.cli.panels import RUN
from selfdistill.cli.report import Page, write_page
from selfdistill.cli.tracking import Log, together, tracking
from selfdistill.train.config import RunConfig

if TYPE_CHECKING:
    from selfdistill.study import Grid
    from selfdistill.study.study import Study

DEFAULT = ("ce()", "label_smoothing()", "scd()", "drg()", "dsr()", "lightskd()", "csd()", "stkd()")
Models = Annotated[
    list[str] | None,
    typer.Option(
        help="Models; runs are the full cross product with methods, data sets …; default: --model.", rich_help_panel=RUN
    ),
]
Datasets = Annotated[
    list[str] | None, typer.Option(help="Data sets, in the full cross product; default: --data.", rich_help_panel=RUN)
]
LabelNoises = Annotated[
    list[float] | None,
    typer.Option(
        help="Fractions of wrong labels, in the full cross product; default: --label-noise.", rich_help_panel=RUN
    ),
]
Controls = Annotated[
    bool,
    typer.Option(
        "--controls",
        help="Also train each method's heads and forward passes without its distillation losses.",
        rich_help_panel=RUN,
    ),
]
EqualCompute = Annotated[
    bool,
    typer.Option("--equal-compute", help="Also train ce() for as many FLOPs as each method uses.", rich_help_panel=RUN),
]


@run_options()
def compare(
    methods: Methods = None,
    models: Models = None,
    datasets: Datasets = None,
    label_noises: LabelNoises = None,
    first_seed: Annotated[int, typer.Option(help="First seed; the others follow it.", rich_help_panel=RUN)] = 0,
    seeds: Annotated[int, typer.Option(help="Number of seeds per method, and per fold.", rich_help_panel=RUN)] = 5,
    folds: Folds = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the study; default: runs/DATA[-LIMIT][-FOLDS]-MODEL-EPOCHS.", rich_help_panel=RUN),
    ] = None,
    controls: Controls = False,
    equal_compute: EqualCompute = False,
    metrics: Metrics = None,
    ood: OtherClasses = None,
    test_limit: TestLimit = None,
    report: Page = False,
    log: Log = None,
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Accepted for clarity; the command always resumes.", rich_help_panel=RUN)
    ] = False,
    *,
    config: RunConfig,
) -> None:
    """Train each method with each seed, or on each fold with each seed, and print a table.

    Re-running the command skips finished runs and resumes interrupted ones. With --metrics, the finished runs are
    then evaluated on these metrics, as by the command evaluate. A method that needs a teacher but names none has
    one trained first; it is kept for later runs.
    """
    from selfdistill.errors import UserError
    from selfdistill.study import Grid

    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, but is {seeds}")
    grid = Grid(
        method_expressions(methods, DEFAULT),
        models or (),
        datasets or (),
        range(first_seed, first_seed + seeds),
        config,
        controls,
        equal_compute,
        label_noises or (),
        metrics or (),
        ood,
        test_limit,
        folds=folds,
    )
    run_grid(grid, out or grid.folder, engine_and_listener(engine, workers, threads, address), log, report=report)


def run_grid(grid: "Grid", place: Path, where: EngineAndListener, log: Sequence[str] | None, *, report: bool) -> None:
    """Run a grid in the folder `place`, send its runs to the trackers of `log`, and print its tables."""
    from selfdistill.report import PAGE
    from selfdistill.study import compare_all

    with tracking(log, place.resolve().name) as trackers:
        where["listener"] = together(where["listener"], trackers)
        studies = compare_all(grid, place, **where)
        try:
            show(studies, evaluated=grid.request is not None, page=place if report else None)
        finally:
            if trackers is not None and report:
                trackers.send_page(place / PAGE)


def show(studies: "Sequence[Study]", *, evaluated: bool = False, page: Path | None = None) -> None:
    """Print each study's table and metrics, write the report to `page` if given, and print the failed runs.

    Exit status 1 if a run failed.
    """
    from selfdistill.cli.console import report_failures
    from selfdistill.data.sources.own_name import module_of_data
    from selfdistill.models.own_model import module_of

    finished = [study for study in studies if study.results]
    for study in finished:
        show_study(study)
        if evaluated:
            show_metrics(study)
    if page is not None and finished:
        print()
        bases = [study.base for study in finished]  # which this command has just trained
        own = {*(module_of(each.model) for each in bases), *(module_of_data(each.data) for each in bases)}
        write_page(finished, page, modules=[each for each in own if each])
    report_failures(studies)


def show_study(study: "Study") -> None:
    """Print a study's table and write the table with all columns to table.md."""
    from selfdistill.cli.console import show_table
    from selfdistill.files import write_atomic
    from selfdistill.report.tables.accuracy import footer, header, markdown, rows

    print()
    show_table(header(study), rows(study))
    print("\n" + "\n".join(footer(study)))
    write_atomic(study.folder / "table.md", lambda beside: beside.write_text(markdown(study)))
