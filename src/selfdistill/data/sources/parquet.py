"""Parquet files in the layout of the Hugging Face Hub: encoded images and labels, class names in the schema."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.row_views import Joined, Mapped, take
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
from selfdistill.data.sources.image_cells import ImageCells, row_name, stored_bytes
from selfdistill.data.sources.options import parse_range, split_options
from selfdistill.data.sources.packed_images import PackedImages, packed_folder
from selfdistill.data.sources.shards import find_splits
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.sources.table_file import TableFile, open_parquet
from selfdistill.data.subsets import draw_test, drawn_note, require_undrawn
from selfdistill.errors import UserError

IN_MEMORY = 256 * 2**20  # bytes of encoded images of a split up to which they are held in memory
OPTIONS = {"image": "COLUMN", "label": "COLUMN", "group": "COLUMN", "range": "BLACK..WHITE"}


def read(
    name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0, in_memory: int = IN_MEMORY
) -> SourceData:
    """Read `parquet:PATH`, with options such as `parquet:PATH?image=COLUMN&label=COLUMN`.

    Images of a split with more bytes than `in_memory` stay on the disk.
    """
    path, options = split_options(argument, OPTIONS)
    folder = Path(path).expanduser()
    found = find_splits(folder, alone=bool(test))
    splits = {split: [open_parquet(each, folder) for each in files] for split, files in found.splits.items()}
    data = assemble(splits, f"parquet:{path}", options, pick, size, test, in_memory)
    return data._replace(notes=found.notes + data.notes)


def assemble(
    splits: Mapping[str, Sequence[TableFile]],
    where: str,
    options: Mapping[str, str],
    pick: PickRows,
    size: int | None,
    test: TestPart = 0.0,
    in_memory: int = IN_MEMORY,
) -> SourceData:
    """Build the splits with encoded images; `pick` chooses the training rows, `test` the part of them to draw.

    Images of a split with more bytes than `in_memory` stay on the disk.
    """
    if "train" not in splits or not (test or {"validation", "test"} & set(splits)):
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
    groups = _groups(splits["train"], options.get("group"), where)
    held = [split for split in ("validation", "test") if split in splits and not is_unlabelled(labels[split], classes)]
    kept, drawn = _drawn(ids["train"], test, groups, held, where)
    chosen = kept[pick(ids["train"][kept], classes)]  # checks the classes before the labels of other splits
    ids |= {split: _require_labelled(labels[split], classes) for split in held}
    unlabelled = [split for split in splits if split not in ids]
    if not held and drawn is None:
        raise UserError(_nothing_labelled(unlabelled, columns, where))

    def images(split: str, which: Tensor | None = None) -> Images:
        which = torch.arange(len(ids[split])) if which is None else which
        sources = _sources(splits[split], columns.image, which, in_memory)
        return Images(LazyImages(sources, _names(splits[split], which), size, shown=shown), ids[split][which])

    validation = images("validation") if "validation" in held and (test or "test" in held) else None
    notes = [_unlabelled_note(split, held, where) for split in unlabelled]
    if drawn is not None:
        notes.append(drawn_note(where, len(drawn), len(ids["train"]), test))
    packed = [split for split in ids if _is_packed(splits[split], columns.image, in_memory)]
    notes += [_packed_note(packed, where)] if packed else []
    tested = images(held[-1]) if drawn is None else images("train", drawn)
    kept_groups = None if groups is None else groups[chosen]
    return SourceData(images("train", chosen), validation, tested, classes, notes=tuple(notes), groups=kept_groups)


def _drawn(
    labels: Tensor, part: TestPart, groups: Tensor | None, held: Sequence[str], where: str
) -> tuple[Tensor, Tensor | None]:
    """Draw a part of the training rows as test rows; without it all are kept. Labels [N] -> [N - T], [T]."""
    if not part:
        return torch.arange(len(labels)), None
    require_undrawn("test" in held, where, part)
    return draw_test(labels, part, groups)


def _groups(tables: Sequence[TableFile], column: str | None, where: str) -> Tensor | None:
    """Number the groups of all rows by a column; None without. -> [N]. Raises `UserError` for a row without one."""
    if column is None:
        return None
    if lost := next((each for each in tables if column not in each.schema.names), None):
        raise UserError(f"{lost.name} of {where} has no column {column!r}, but {', '.join(lost.schema.names)}")
    cells = [cell for each in tables for cell in each.column(column).to_pylist()]
    if None in cells:
        raise UserError(f"row {cells.index(None)} of {where} has no group in the column {column!r}; add it")
    places = {each: k for k, each in enumerate(dict.fromkeys(cells))}
    return torch.tensor([places[each] for each in cells])


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


def _packed_note(splits: Sequence[str], where: str) -> str:
    return (
        f"the {' and '.join(splits)} images of {where} stay on the disk: they are copied once to "
        f"{packed_folder()}, which can be deleted after the last run"
    )


def _names(tables: Sequence[TableFile], chosen: Tensor) -> Sequence[str]:
    """Names of chosen rows of the tables, one after the other. [M]."""
    return take(Joined([Mapped(partial(row_name, table), range(table.rows)) for table in tables]), chosen)


def _sources(tables: Sequence[TableFile], column: str, chosen: Tensor, in_memory: int) -> Sequence[bytes | Path]:
    """Encoded images of chosen rows, or the paths of their files: in memory where they are few. [M]."""
    if _is_packed(tables, column, in_memory):
        return take(Joined([PackedImages(table, column) for table in tables]), chosen)
    cells = take(Joined([ImageCells(table, column) for table in tables]), chosen)
    on_disk = sum(map(partial(stored_bytes, column=column), tables)) > in_memory  # mapped by the `datasets` library
    return cells if on_disk else list(cells)


def _is_packed(tables: Sequence[TableFile], column: str, in_memory: int) -> bool:
    """Return whether the images of a split are copied to a file that gives each of them at once."""
    return tables[0].path is not None and sum(map(partial(stored_bytes, column=column), tables)) > in_memory
