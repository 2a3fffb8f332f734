"""`selfdistill report`: what a finished study says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Page = Annotated[bool, typer.Option("--report", help="Write the study's page at the end, as the command report does.")]


def report(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study, or of several.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default: the study's.")] = None,
    pictures: Annotated[
        bool, typer.Option(help="Show test images to the trained networks and draw what they say; takes longest.")
    ] = True,
    links: Annotated[bool, typer.Option(help="Link the runs' folders; without, the page travels alone.")] = True,
    show: Annotated[
        list[str] | None,
        typer.Option(help="Methods in the pictures beside the baseline; default: the first eight of the study."),
    ] = None,
) -> None:
    """Write a study's page: verdict, table, pictures, runs, and how to repeat it.

    report.html needs no other file and no network. table.csv, table.md and table.tex hold the table,
    measures.csv all that was measured of each run.
    """
    from selfdistill.study.load import load_all, missing

    studies = load_all(study)
    write_page(studies, out or study, pictures=None if pictures else (), show=show or (), links=links)
    if left := sum(len(missing(each)) for each in studies):
        print(f"{left} {'run has' if left == 1 else 'runs have'} no result yet; the page lists them")


def write_page(studies: Sequence[Any], folder: Path, **options: Any) -> None:
    """Write the page and its tables, and say where they lie."""
    from selfdistill.report import write

    for path in write(studies, folder, **options):
        print(path)
