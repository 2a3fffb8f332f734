"""What finished studies say: one page, and their table for other programs. It reads files and never trains."""

from collections.abc import Sequence
from pathlib import Path

from selfdistill.report.evidence import Evidence
from selfdistill.report.gallery import PICTURES
from selfdistill.report.measures import as_csv as measures_csv
from selfdistill.report.page import page
from selfdistill.report.pictures import Picture, Undrawn
from selfdistill.report.tables import FORMS
from selfdistill.study import Study
from selfdistill.train.files import make_folder, write_whole

__all__ = ["PICTURES", "Evidence", "Picture", "Undrawn", "write"]

PAGE = "report.html"


def write(studies: Sequence[Study], folder: str | Path, pictures: Sequence[Picture] | None = None) -> list[Path]:
    """Write report.html, table.csv, table.md, table.tex and measures.csv into a folder, each whole; gives their paths.

    `pictures` are those of the page, by default all of `PICTURES`.

    Raises `UserError` where a run's files cannot be read or the folder cannot be written.
    """
    texts = {PAGE: page(studies, Path(folder), PICTURES if pictures is None else pictures)} | {
        name: make(studies) for name, make in (FORMS | {"measures.csv": measures_csv}).items()
    }
    place = make_folder(Path(folder))
    return [_written(place / name, text) for name, text in texts.items()]


def _written(path: Path, text: str) -> Path:
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    return path
