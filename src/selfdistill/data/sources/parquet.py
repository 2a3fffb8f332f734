"""Parquet files in the layout of the Hugging Face Hub: encoded images and labels, class names in the schema."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.rgb import ValueRange
from selfdistill.data.sources import first_line
from selfdistill.data.sources.options import parse_range, split_options
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError

OPTIONS = {"label": "COLUMN", "range": "BLACK..WHITE"}
LABELS = ("fine_label", "label", "labels")  # by priority
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


class ParquetRows(NamedTuple):
    """Rows of a split, with the number of rows from each file."""

    table: pa.Table
    files: Sequence[tuple[str, int]]

    def name(self, row: int) -> str:
        """Name a row in messages."""
        for file, rows in self.files:
            if row < rows:
                return f"in row {row} of {file}"
            row -= rows
        raise IndexError(row)


class Columns(NamedTuple):
    """Names of the image and label columns, and the class names."""

    image: str
    label: str
    classes: tuple[str, ...] | None


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Read `parquet:PATH`, `parquet:PATH?label=COLUMN` or `parquet:PATH?range=BLACK..WHITE`."""
    path, options = split_options(argument, OPTIONS)
    splits = {split: _rows(files) for split, files in _files(Path(path).expanduser()).items()}
    return assemble(splits, f"parquet:{path}", options, pick, size)


def assemble(
    splits: Mapping[str, ParquetRows], where: str, options: Mapping[str, str], pick: PickRows, size: int | None
) -> SourceData:
    """Build the splits with encoded images; `pick` chooses the training rows."""
    test = "test" if "test" in splits else "validation"
    if not {"train", test} <= set(splits):
        there = ", ".join(splits) or "nothing"
        raise UserError(f"{where} has no train, or no test and no validation split; it has {there}")
    shown = parse_range(options.get("range"))
    columns = _columns(splits["train"].table.schema, options.get("label", ""), where)
    labels = {split: _labels(rows, columns, where) for split, rows in splits.items()}
    classes = columns.classes or _numbered_classes(labels["train"], columns, where)
    _require_range(labels["train"], classes, splits["train"])
    chosen = pick(labels["train"], classes)  # checks the classes before the labels of other splits
    for split in ("validation", "test"):
        if split in splits:
            _require_range(labels[split], classes, splits[split])

    def images(split: str, which: Tensor | None = None) -> Images:
        which = torch.arange(len(labels[split])) if which is None else which
        return Images(_encoded(splits[split], columns, which.tolist(), size, shown), labels[split][which])

    held = images("validation") if test == "test" and "validation" in splits else None
    return SourceData(images("train", chosen), held, images(test), classes)


def _files(folder: Path) -> dict[str, list[Path]]:
    """List the files of each split, in the folder or in its subfolder `data`."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}; parquet:PATH holds train-*.parquet and test-*.parquet")
    there = [each for each in (*folder.glob("*.parquet"), *folder.glob("data/*.parquet")) if each.is_file()]
    found = {
        split: sorted(each for each in there if each.stem.split("-")[0] in names) for split, names in SPLITS.items()
    }
    if not found["train"] or not found["test"] + found["validation"]:
        names = ", ".join(sorted(each.name for each in there)[:5]) or "no *.parquet"
        raise UserError(
            f"{str(folder)!r} needs train-*.parquet, and test-*.parquet or validation-*.parquet (or a folder "
            f"data with them); it holds {names}"
        )
    return {split: files for split, files in found.items() if files}


def _rows(files: Sequence[Path]) -> ParquetRows:
    tables = [_table(each) for each in files]
    try:
        table = pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        names = " and ".join(each.name for each in files)
        raise UserError(f"{names} have different columns: {first_line(error)}") from None
    return ParquetRows(table, [(file.name, len(table)) for file, table in zip(files, tables, strict=True)])


def _table(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"cannot read {str(file)!r}: {first_line(error)}; fetch the file again") from None


def _columns(schema: pa.Schema, wanted: str, where: str) -> Columns:
    image = next((each.name for each in schema if _holds_images(each.type)), None)
    if image is None:
        there = ", ".join(schema.names)
        raise UserError(f"no column of {where} holds images (a struct with bytes); it has {there}")
    label = wanted or next((each for each in LABELS if each in schema.names), LABELS[1])
    return Columns(image, label, _class_names(schema, label))


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """Class names from the schema's `huggingface` metadata, if any."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(info["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _numbered_classes(labels: Tensor, columns: Columns, where: str) -> tuple[str, ...]:
    """Numbers as class names; rejects labels that are too large to be class ids."""
    highest = int(labels.max())
    if highest >= len(labels):
        raise UserError(
            f"{columns.label!r} of {where} goes up to {highest} in {len(labels)} rows, so it holds "
            "no class ids; name another column by ?label=COLUMN"
        )
    return tuple(str(k) for k in range(highest + 1))


def _labels(rows: ParquetRows, columns: Columns, where: str) -> Tensor:
    names = rows.table.column_names
    if columns.label not in names or columns.image not in names:
        there = ", ".join(names)
        raise UserError(
            f"{where} has no columns {columns.image!r} and {columns.label!r} in {rows.files[0][0]}, "
            f"but {there}; name the labels' one by ?label=COLUMN"
        )
    if not len(rows.table):
        raise UserError(f"there are no rows in {rows.files[0][0]}; fetch the data set again")
    column = rows.table[columns.label]
    if not pa.types.is_integer(column.type) or column.null_count:
        raise UserError(
            f"labels must be whole numbers, but {columns.label!r} of {where} is {column.type} with "
            f"{column.null_count} missing; name another column by ?label=COLUMN"
        )
    return torch.tensor(column.to_pylist(), dtype=torch.long)


def _require_range(labels: Tensor, classes: Sequence[str], rows: ParquetRows) -> None:
    wrong = ((labels < 0) | (labels >= len(classes))).nonzero().flatten().tolist()
    if wrong:
        raise UserError(
            f"the label {rows.name(wrong[0])} is {int(labels[wrong[0]])}, but there are {len(classes)} "
            f"classes, 0 to {len(classes) - 1}; fix the label or the class names"
        )


def _encoded(
    rows: ParquetRows, columns: Columns, chosen: Sequence[int], size: int | None, shown: ValueRange | None
) -> LazyImages:
    column = rows.table[columns.image]
    cells = (column[row].as_py() for row in chosen)
    encoded = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    if None in encoded:
        missing = rows.name(chosen[encoded.index(None)])
        raise UserError(f"there is no image {missing}; repair or remove it")
    return LazyImages(encoded, [rows.name(row) for row in chosen], size, shown=shown)
