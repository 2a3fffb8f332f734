"""Reports of finished studies: one HTML page, and tables in CSV, Markdown and LaTeX. Reads files, never trains."""

from collections.abc import Collection, Sequence
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import make_folder, write_atomic
from selfdistill.methods import parse_method
from selfdistill.report.figures.figure import FigureUnavailable, Picture
from selfdistill.report.figures.gallery import PICTURES
from selfdistill.report.figures.inputs import FigureInputs
from selfdistill.report.html.page import page
from selfdistill.report.html.tuning import tuning_page
from selfdistill.report.tables.export import TABLE_FILES
from selfdistill.report.tables.metrics_csv import as_csv as metrics_csv
from selfdistill.report.tables.tuning import tuning_markdown
from selfdistill.study import Study, Tuning

__all__ = ["PICTURES", "FigureInputs", "FigureUnavailable", "Picture", "write", "write_tuning"]

PAGE = "report.html"


def write(
    studies: Sequence[Study],
    folder: str | Path,
    pictures: Sequence[Picture] | None = None,
    *,
    show: Sequence[str] = (),
    links: bool = True,
    modules: Collection[str] = (),
) -> list[Path]:
    """Write report.html, table.csv, table.md, table.tex and metrics.csv into a folder; return their paths.

    `pictures` are the figures of the page (default: all of `PICTURES`). `show` names the methods whose networks they
    include in addition to the baseline (default: the first methods of the study). Without `links` the page has no
    links to the runs' folders, so that it can be moved without them. `modules` are those of your own models, from
    which the networks of figures may be imported.

    Raises `UserError` if a run's files cannot be read, the folder cannot be written, or no study has a method of
    `show`.
    """
    chosen = [_find_row(each, studies) for each in show]
    figures = PICTURES if pictures is None else pictures
    tables = TABLE_FILES | {"metrics.csv": metrics_csv}
    texts = {PAGE: page(studies, Path(folder), figures, chosen, links, modules)}
    texts |= {name: make(studies) for name, make in tables.items()}
    place = make_folder(Path(folder))
    return [_write_text(place / name, text) for name, text in texts.items()]


def write_tuning(tuning: Tuning, folder: str | Path) -> list[Path]:
    """Write tune.html and tune.md of a tuning into a folder; return their paths.

    Raises `UserError` if the folder cannot be written.
    """
    place = make_folder(Path(folder))
    texts = {"tune.html": tuning_page(tuning), "tune.md": tuning_markdown(tuning)}
    return [_write_text(place / name, text) for name, text in texts.items()]


def _find_row(text: str, studies: Sequence[Study]) -> str:
    """Find the row of a method expression; raise `UserError` if no study has it."""
    there = dict.fromkeys(row for study in studies for row in study.methods)
    found = text if text in there else parse_method(text).text
    if found not in there:
        raise UserError(f"no method {found} in the study; pass to --show one of {', '.join(there)}")
    return found


def _write_text(path: Path, text: str) -> Path:
    write_atomic(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    return path
