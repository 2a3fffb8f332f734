"""What finished studies say: one page, and their table for other programs. It reads files and never trains."""

from collections.abc import Sequence
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import make_folder, write_whole
from selfdistill.methods import parse_method
from selfdistill.report.figures.figure import FigureUnavailable, Picture
from selfdistill.report.figures.gallery import PICTURES
from selfdistill.report.figures.inputs import Evidence
from selfdistill.report.html.page import page
from selfdistill.report.tables.export import FORMS
from selfdistill.report.tables.metrics_csv import as_csv as measures_csv
from selfdistill.study import Study

__all__ = ["PICTURES", "Evidence", "FigureUnavailable", "Picture", "write"]

PAGE = "report.html"


def write(
    studies: Sequence[Study],
    folder: str | Path,
    pictures: Sequence[Picture] | None = None,
    *,
    show: Sequence[str] = (),
    links: bool = True,
) -> list[Path]:
    """Write report.html, table.csv, table.md, table.tex and measures.csv into a folder, each whole; gives their paths.

    `pictures` are those of the page, by default all of `PICTURES`; `show` are the methods whose networks are in
    them beside the baseline, by default the first of the study. Without `links` the page names no run's folder and
    can travel without them.

    Raises `UserError` where a run's files cannot be read, the folder cannot be written, or no study has a method
    of `show`.
    """
    chosen = [_row(each, studies) for each in show]
    asked = PICTURES if pictures is None else pictures
    forms = FORMS | {"measures.csv": measures_csv}
    texts = {PAGE: page(studies, Path(folder), asked, chosen, links)}
    texts |= {name: make(studies) for name, make in forms.items()}
    place = make_folder(Path(folder))
    return [_written(place / name, text) for name, text in texts.items()]


def _row(text: str, studies: Sequence[Study]) -> str:
    """The row that a text means; raises `UserError` where none of the studies has it."""
    there = dict.fromkeys(row for study in studies for row in study.methods)
    found = text if text in there else parse_method(text).text
    if found not in there:
        raise UserError(f"there is no {found} in the study that could be shown; its rows are {', '.join(there)}")
    return found


def _written(path: Path, text: str) -> Path:
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    return path
