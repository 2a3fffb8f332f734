"""Parquet files in the layout of the Hugging Face Hub: encoded images and labels, class names in the schema."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.rgb import ValueRange
from selfdistill.data.sources.class_labels import (
    UNLABELLED,
    LabelColumn,
    class_ids,
    class_names,
    is_unlabelled,
    read_labels,
    require_comparable,
)
from selfdistill.data.sources.columns import Columns, choose_columns, missing_column, require_image_column
from selfdistill.data.sources.options import parse_range, split_options
from selfdistill.data.sources.shards import find_splits
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.sources.table_file import TableFile, open_parquet
from selfdistill.errors import UserError

OPTIONS = {"image": "COLUMN", "label": "COLUMN", "range": "BLACK..WHITE"}


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Read `parquet:PATH`, with options such as `parquet:PATH?image=COLUMN&label=COLUMN`."""
    path, options = split_options(argument, OPTIONS)
    folder = Path(path).expanduser()
    found = find_splits(folder)
    splits = {split: [open_parquet(each, folder) for each in files] for split, files in found.splits.items()}
    data = assemble(splits, f"parquet:{path}", options, pick, size)
    return data._replace(notes=found.notes + data.notes)


def assemble(
    splits: Mapping[str, Sequence[TableFile]], where: str, options: Mapping[str, str], pick: PickRows, size: int | None
) -> SourceData:
    """Build the splits with encoded images; `pick` chooses the training rows."""
    if "train" not in splits or not {"validation", "test"} & set(splits):
        there = ", ".join(splits) or "nothing"
        raise UserError(f"{where} has no train, or no test and no validation split; it has {there}")
    shown = parse_range(options.get("range"))
    columns = choose_columns(splits["train"][0], options, where)
    for split, tables in splits.items():
        _require_tables(split, tables, columns, where)
    labels = {split: [read_labels(each, columns.label) for each in tables] for split, tables in splits.items()}
    require_comparable([each for parts in labels.values() for each in parts])
    classes = class_names(labels["train"], columns.label, where)
    ids = {"train": _require_labelled(labels["train"], classes)}
    chosen = pick(ids["train"], classes)  # checks the classes before the labels of other splits
    held = [split for split in ("validation", "test") if split in splits and not is_unlabelled(labels[split], classes)]
    ids |= {split: _require_labelled(labels[split], classes) for split in held}
    unlabelled = [split for split in splits if split not in ids]
    if not held:
        raise UserError(_nothing_labelled(unlabelled, columns, where))

    def images(split: str, which: Tensor | None = None) -> Images:
        which = torch.arange(len(ids[split])) if which is None else which
        return Images(_encoded(splits[split], columns.image, which.tolist(), size, shown), ids[split][which])

    validation = images("validation") if held == ["validation", "test"] else None
    notes = tuple(_unlabelled_note(split, held, where) for split in unlabelled)
    return SourceData(images("train", chosen), validation, images(held[-1]), classes, notes=notes)


def _require_tables(split: str, tables: Sequence[TableFile], columns: Columns, where: str) -> None:
    """Raise `UserError` for tables without rows or images, or without training labels."""
    for each in tables:
        require_image_column(each, columns, where)
        if split == "train" and columns.label not in each.schema.names:
            raise UserError(missing_column(each, columns, where))
    if not sum(each.rows for each in tables):
        raise UserError(f"there are no rows in {tables[0].name}; fetch the data set again")


def _require_labelled(columns: Sequence[LabelColumn], classes: Sequence[str]) -> Tensor:
    """Class ids of a split; raises `UserError` for a row without a label. -> [N]."""
    ids = [class_ids(each, classes) for each in columns]
    for column, found in zip(columns, ids, strict=True):
        if rows := (found == UNLABELLED).nonzero().flatten().tolist():
            raise UserError(
                f"{column.describe(column.labels[rows[0]])}, so {len(rows)} of {len(found)} images there have no "
                "label; label them, or remove their rows"
            )
    return torch.cat(ids)


def _unlabelled_note(split: str, held: Sequence[str], where: str) -> str:
    instead = ", so the validation images are the test images" if held == ["validation"] else ""
    return f"the {split} images of {where} have no labels and are left out{instead}"


def _nothing_labelled(unlabelled: Sequence[str], columns: Columns, where: str) -> str:
    return (
        f"the {' and '.join(unlabelled)} images of {where} have no labels ({columns.label!r} is missing, null or -1 in "
        "all rows), so there is nothing to test on; add validation-*.parquet with labels, which is then the test set, "
        "or label the test images"
    )


class _Row(NamedTuple):
    """A row of a table."""

    table: TableFile
    row: int

    @property
    def name(self) -> str:
        return f"in row {self.row} of {self.table.name}"


def _encoded(
    tables: Sequence[TableFile], column: str, chosen: Sequence[int], size: int | None, shown: ValueRange | None
) -> LazyImages:
    """Chosen rows of the tables, one after the other, as encoded images or paths of files."""
    rows = [_Row(table, row) for table in tables for row in range(table.rows)]
    cells = {table.name: table.column(column) for table in tables}
    taken = [rows[each] for each in chosen]
    sources = [_image(cells[each.table.name][each.row].as_py(), each) for each in taken]
    return LazyImages(sources, [each.name for each in taken], size, shown=shown)


def _image(cell: Any, row: _Row) -> bytes | Path:
    """Encoded image of a cell (bytes, a path, or a struct of both), or the path of its file."""
    match cell:
        case dict():
            encoded, path = cell.get("bytes"), cell.get("path")
        case str():
            encoded, path = None, cell
        case _:
            encoded, path = cell, None
    if encoded or not path:
        return bytes(encoded or b"")  # an empty one is unreadable, and named with all others
    return _image_file(path, row)


def _image_file(path: str, row: _Row) -> Path:
    """File of a cell that holds only a path; raises `UserError` if it is not there, or outside the data set."""
    root = row.table.folders[-1].absolute()
    for folder in row.table.folders:
        file = Path(os.path.normpath(folder.absolute() / path))
        if file.is_relative_to(root) and os.path.isfile(file):
            return file
    raise UserError(
        f"the image {row.name} is only a path, {path!r}, and there is no such file in {str(root)!r}; put the files "
        "there, or write their bytes into the table"
    )
