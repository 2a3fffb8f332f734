"""`selfdistill report`: HTML report and tables of a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.options import Modules
from selfdistill.cli.panels import RUN

if TYPE_CHECKING:
    from selfdistill.study.study import Study

Page = Annotated[
    bool,
    typer.Option("--report", help="Write the HTML report at the end, as by the command report.", rich_help_panel=RUN),
]


def report(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study, or of several studies.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default: the study's.")] = None,
    pictures: Annotated[
        bool, typer.Option(help="Evaluate the trained networks on test images and draw figures; takes longest.")
    ] = True,
    links: Annotated[
        bool, typer.Option(help="Link to the runs' folders; use --no-links for a page that is shared without them.")
    ] = True,
    show: Annotated[
        list[str] | None,
        typer.Option(help="Methods to draw next to the baseline; default: the first eight of the study."),
    ] = None,
    modules: Modules = None,
) -> None:
    """Write the HTML report of a study: findings, tables, figures, runs and the commands to reproduce it.

    report.html is self-contained. The table is also written to table.csv, table.md and table.tex, and the metrics of
    each run to metrics.csv.
    """
    from selfdistill.cli.console import list_left_out
    from selfdistill.study.load import load_all, missing

    studies = load_all(study)
    write_page(
        studies, out or study, pictures=None if pictures else (), show=show or (), links=links, modules=modules or ()
    )
    if left := sum(len(missing(each)) - len(each.left_out) for each in studies):
        print(f"{left} {'run has' if left == 1 else 'runs have'} no result yet; the report lists them")
    list_left_out(studies)


def write_page(
    studies: "Sequence[Study]",
    folder: Path,
    *,
    pictures: tuple[()] | None = None,
    show: Sequence[str] = (),
    links: bool = True,
    modules: Sequence[str] = (),
) -> None:
    """Write the report and its tables, and print the paths."""
    from selfdistill.report import write

    for path in write(studies, folder, pictures, show=show, links=links, modules=modules):
        print(path)
