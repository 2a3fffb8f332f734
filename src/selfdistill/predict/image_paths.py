"""Paths of the images to predict: of folders, of the rows of tables, and as they are given."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from selfdistill.data.sources.csv_files import PATHS
from selfdistill.data.sources.csv_table import TABS, choose_column, read_csv
from selfdistill.data.sources.image_files import describe_left_out, find_images, image_endings
from selfdistill.data.sources.listed_path import file_of_cell
from selfdistill.data.sources.options import split_options
from selfdistill.errors import UserError
from selfdistill.files import is_file, is_folder

TABLES = (".csv", *TABS)
OPTIONS = {"path": "COLUMN", "root": "FOLDER"}


def image_paths(places: Sequence[str | Path]) -> Iterator[Path]:
    """Iterate over the images of each place in order: of a folder and its subfolders, sorted; of a table; a file.

    A table may be written as "FILE.csv?path=COLUMN&root=FOLDER"; its paths are absolute, or begin in its own folder.
    Images that a table names need not exist. Raises `UserError` for a place that is missing, has no image, or is no
    image by its ending.
    """
    return chain.from_iterable([_paths(str(place)) for place in places])  # a list: mistakes are told at once


def _paths(place: str) -> Sequence[Path]:
    path = Path(place).expanduser()
    if is_folder(path):
        return _in_folder(path)
    if is_file(path) and path.suffix.lower() in image_endings():
        return [path]
    if Path(place.partition("?")[0]).suffix.lower() in TABLES:
        return _in_table(place)
    found = f"{place!r} is no image by its ending" if is_file(path) else f"there is no {place!r}"
    raise UserError(f"{found}; name folders of images, image files, or tables of paths (.csv, .tsv)")


def _in_folder(folder: Path) -> Sequence[Path]:
    found = find_images(folder)
    if not found.images:
        raise UserError(f"the folder {str(folder)!r} has no images{describe_left_out(found.left_out)}; name another")
    return found.images


def _in_table(place: str) -> list[Path]:
    name, options = split_options(place, OPTIONS)
    path = Path(name).expanduser()
    if not is_file(path):
        raise UserError(f"there is no table {name!r}; name folders of images, image files, or tables of paths")
    table = read_csv(path)
    root = Path(options["root"]).expanduser() if "root" in options else path.parent
    column = choose_column(table, options.get("path"), PATHS, "path")
    return [file_of_cell(root, cell) for cell in table.column(column)]
