"""Parquet files in the hub's layout: encoded images beside labels, class names in the schema."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from selfdistill.data.decode import decode
from selfdistill.data.images import Images, checked
from selfdistill.data.sources import Pick, Raw
from selfdistill.errors import UserError

LABELS = ("fine_label", "label", "labels")  # in the order they are looked for


class Columns(NamedTuple):
    """Which columns hold what."""

    image: str
    label: str
    classes: tuple[str, ...] | None


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read `parquet:PATH` or `parquet:PATH?label=COLUMN`."""
    path, _, query = argument.partition("?")
    files = _files(Path(path).expanduser())
    tables = {split: _table(names) for split, names in files.items()}
    columns = find_columns(tables["train"].schema, query.removeprefix("label="), path)
    test = "test" if "test" in tables else "validation"
    validation = tables.get("validation") if test == "test" else None
    return assemble(tables["train"], validation, tables[test], columns, pick, size)


def assemble(
    train: pa.Table,
    validation: pa.Table | None,
    test: pa.Table,
    columns: Columns,
    pick: Pick,
    size: int | None,
) -> Raw:
    """Decode the rows that are wanted of each split."""
    labels = _labels(train, columns, "train")
    classes = columns.classes or tuple(str(k) for k in range(int(labels.max()) + 1))
    chosen = _images(train.take(pick(labels).numpy()), columns, classes, "train", size, pick(labels))
    held = None if validation is None else _images(validation, columns, classes, "validation", size)
    return Raw(chosen, held, _images(test, columns, classes, "test", size), classes)


def _files(path: Path) -> dict[str, list[Path]]:
    if not path.is_dir():
        raise UserError(
            f"there is no folder {str(path)!r}; parquet:PATH is one that holds train-*.parquet and test-*.parquet"
        )
    found = {
        split: sorted([*path.glob(f"{split}*.parquet"), *path.glob(f"data/{split}*.parquet")])
        for split in ("train", "validation", "test")
    }
    there = ", ".join(sorted(each.name for each in path.iterdir())[:5]) or "nothing"
    if not found["train"]:
        raise UserError(f"{str(path)!r} has no train-*.parquet (nor data/train-*.parquet); it holds {there}")
    if not found["test"] and not found["validation"]:
        raise UserError(f"{str(path)!r} has no test-*.parquet and no validation-*.parquet; it holds {there}")
    return {split: files for split, files in found.items() if files}


def _table(files: Sequence[Path]) -> pa.Table:
    try:
        return pa.concat_tables([pq.read_table(each) for each in files])
    except (pa.ArrowInvalid, OSError) as error:
        names = ", ".join(each.name for each in files)
        raise UserError(f"cannot read {names}: {str(error).splitlines()[0]}") from None


def find_columns(schema: pa.Schema, wanted: str, path: str) -> Columns:
    """Find the columns of images and labels in a table."""
    image = next((each.name for each in schema if _holds_images(each.type)), None)
    if image is None:
        raise UserError(
            f"no column of {path} holds images (a struct of bytes and path); it has {', '.join(schema.names)}"
        )
    label = wanted or next((each for each in LABELS if each in schema.names), "")
    if label not in schema.names:
        raise UserError(
            f"{path} has no column {label or ' or '.join(LABELS)!r}; it has {', '.join(schema.names)}: "
            "name one as parquet:PATH?label=COLUMN"
        )
    return Columns(image, label, _class_names(schema, label))


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return True
    return pa.types.is_struct(kind) and any(field.name == "bytes" for field in kind)


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The names in the schema's `huggingface` metadata."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])
        names = info["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(names.values() if isinstance(names, dict) else names)


def _labels(table: pa.Table, columns: Columns, split: str) -> Tensor:
    column = table[columns.label]
    if not pa.types.is_integer(column.type) or column.null_count:
        raise UserError(
            f"labels are whole numbers, but {columns.label!r} of {split} holds {column.type} with "
            f"{column.null_count} missing; name another column as parquet:PATH?label=COLUMN"
        )
    return torch.tensor(column.to_numpy()).long()


def _images(
    table: pa.Table,
    columns: Columns,
    classes: tuple[str, ...],
    split: str,
    size: int | None,
    rows: Tensor | None = None,
) -> Images:
    """Decode a table; `rows` are the places its rows had in the file, for messages."""
    encoded = table[columns.image].combine_chunks()
    if pa.types.is_struct(encoded.type):
        encoded = encoded.field("bytes")
    place = range(len(table)) if rows is None else rows.tolist()
    if missing := [row for row, value in zip(place, encoded.is_null().to_pylist(), strict=True) if value]:
        raise UserError(f"row {missing[0]} of {split} has no image; mend or remove it")
    pixels = decode(encoded.to_pylist(), lambda row: f"in row {place[row]} of {split}" if place else split, size)
    return checked(Images(pixels, _labels(table, columns, split)), classes, split)
