"""Files that a text table lists, and the options by which it is read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.sources.csv_table import CsvTable, choose_column, read_csv
from selfdistill.data.sources.listed_path import file_of_cell
from selfdistill.data.sources.options import split_options
from selfdistill.errors import UserError
from selfdistill.files import is_folder
from selfdistill.task import CLASSIFY, TAG, TaskName

OPTIONS = {
    "path": "COLUMN",
    "label": "COLUMN or COLUMN,COLUMN",
    "tags": "COLUMN",
    "separator": "CHARACTER",
    "split": "COLUMN",
    "test": "SHARE",
    "group": "COLUMN",
    "weight": "COLUMN",
    "root": "FOLDER",
    "range": "BLACK..WHITE",
}
PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "img", "image_path", "image_file")
NAMED = 3  # rows that a message names


class ListedFile(NamedTuple):
    """File of a row, and its cell."""

    path: Path
    cell: str


def task(argument: str) -> TaskName:
    """Task of `csv:PATH?…`: several columns of labels, or lists of tags, are tags."""
    options = csv_options(argument)[1]
    return TAG if "tags" in options or "," in options.get("label", "") else CLASSIFY


def files(argument: str) -> list[Path]:
    """Return the table and the images that it lists, without those that are missing."""
    path, options = csv_options(argument)
    table = read_csv(path)
    return [table.path, *(each.path for each in _listed_files(table, options) if os.path.isfile(each.path))]


def csv_options(argument: str) -> tuple[Path, dict[str, str]]:
    """Split an argument into the path of the table and the options. Raises `UserError` for those that do not fit."""
    path, options = split_options(argument, OPTIONS)
    for first, second in (("label", "tags"), ("split", "test")):
        if first in options and second in options:
            raise UserError(f"?{first} and ?{second} exclude each other; keep one of them")
    if "weight" in options and ("tags" in options or "," in options.get("label", "")):
        raise UserError("?weight weighs examples of one class each, but these labels are tags; leave it out")
    if "separator" in options and "tags" not in options:
        raise UserError("?separator separates the tags of ?tags=COLUMN, which is missing; add it")
    return Path(path).expanduser(), options


def _listed_files(table: CsvTable, options: Mapping[str, str]) -> list[ListedFile]:
    """Files of all rows: paths are absolute, or begin in the folder of the table or ?root."""
    root = Path(options["root"]).expanduser() if "root" in options else table.path.parent
    if not is_folder(root):
        raise UserError(f"there is no folder {str(root)!r}; name the folder of the images by ?root=FOLDER")
    cells = table.column(choose_column(table, options.get("path"), PATHS, "path"))
    return [ListedFile(file_of_cell(root, cell), cell) for cell in cells]


def existing_files(table: CsvTable, options: Mapping[str, str]) -> list[ListedFile]:
    """Raise `UserError` with the count and the first of all files that are missing."""
    found = _listed_files(table, options)
    missing = [row for row, (path, cell) in enumerate(found) if not cell.strip() or not os.path.isfile(path)]
    if missing:
        shown = ", ".join(f"{found[row].cell!r} in line {table.lines[row]}" for row in missing[:NAMED])
        more = ", …" if len(missing) > NAMED else ""
        raise UserError(
            f"{len(missing)} of the {len(found)} images of {str(table.path)!r} do not exist: {shown}{more}; correct "
            f"the paths, which begin in {options.get('root') or str(table.path.parent)!r}, or name another folder by "
            "?root=FOLDER"
        )
    return found
