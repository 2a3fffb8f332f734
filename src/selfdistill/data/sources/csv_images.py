"""Images listed in a text table: a path, and a class or tags, in each row."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from selfdistill.data.drawn_part import TestPart, as_typed
from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.sources.csv_files import ListedFile, csv_options, existing_files
from selfdistill.data.sources.csv_labels import (
    SEPARATOR,
    RowLabels,
    read_classes,
    read_tag_columns,
    read_tag_lists,
)
from selfdistill.data.sources.csv_splits import (
    RowSplits,
    column_splits,
    drawn_splits,
    number_groups,
    with_drawn,
)
from selfdistill.data.sources.csv_table import CsvTable, choose_column, read_csv
from selfdistill.data.sources.csv_weights import read_weights
from selfdistill.data.sources.options import parse_range, parse_share
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.subsets import TEST_SHARE
from selfdistill.errors import UserError

LABELS = ("label", "labels", "class", "target", "category")
SPLIT = "split"


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `csv:PATH`, with options such as `csv:PATH?path=COLUMN&label=COLUMN&split=COLUMN`."""
    path, options = csv_options(argument)
    table, shown = read_csv(path), parse_range(options.get("range"))
    files = existing_files(table, options)
    labels = _labels(table, options)
    splits, groups = _splits(table, labels, options, test)
    rows, unlabelled = _labelled(table, splits.rows, labels)
    names = labels.names(rows["train"])
    chosen = pick(labels.values(rows["train"], names), names)
    groups = None if groups is None else groups[rows["train"]][chosen]
    weights = None if "weight" not in options else read_weights(table, options["weight"], rows["train"])[chosen]
    rows |= {"train": [rows["train"][k] for k in chosen.tolist()]}

    def images(split: str) -> Images:
        found = [files[row].path for row in rows[split]]
        return Images(LazyImages(found, list(map(str, found)), size, shown=shown), labels.values(rows[split], names))

    train = replace(images("train"), weights=weights)
    held = images("validation") if {"validation", "test"} <= rows.keys() else None
    tested = images("test" if "test" in rows else "validation")
    notes = (*splits.notes, *unlabelled, *_doubled(table, files, rows))
    return SourceData(train, held, tested, names, notes=notes, groups=groups)


def _labels(table: CsvTable, options: Mapping[str, str]) -> RowLabels:
    if "tags" in options:
        return read_tag_lists(table, options["tags"], options.get("separator", SEPARATOR))
    if "," in options.get("label", ""):
        return read_tag_columns(table, [each.strip() for each in options["label"].split(",")])
    return read_classes(table, choose_column(table, options.get("label"), LABELS, "label"))


def _splits(
    table: CsvTable, labels: RowLabels, options: Mapping[str, str], test: TestPart
) -> tuple[RowSplits, Tensor | None]:
    """Rows of each split, and the number of each row's group; `test` is drawn where there are no test rows.

    Raises `UserError` for two test parts, and for one beside test rows.
    """
    if test and "test" in options:
        raise UserError(f"{as_typed(test)} and ?test={options['test']} both draw test rows; keep one of them")
    groups = number_groups(table, options.get("group"))
    usual = [each for each in table.header if each.lower() == SPLIT]
    column = options.get("split") or next(iter(usual), None)
    if column is not None and "test" not in options:
        found = column_splits(table, column, groups, alone=bool(test))
        return (with_drawn(table, found, test, labels.strata(), groups) if test else found), groups
    part = test or parse_share(options.get("test"), TEST_SHARE)
    asked = bool(test) or "test" in options
    return drawn_splits(table, part, labels.strata(), groups, asked=asked), groups


def _labelled(
    table: CsvTable, rows: Mapping[str, list[int]], labels: RowLabels
) -> tuple[dict[str, list[int]], list[str]]:
    """Leave out splits without any label; raise `UserError` for a row without one in another split."""
    missing, kept, notes = {*labels.missing()}, dict[str, list[int]](), list[str]()
    for split, each in rows.items():
        lost = [row for row in each if row in missing]
        if lost and (len(lost) < len(each) or split == "train"):
            raise UserError(
                f"{table.at(lost[0])} has no label, as {len(lost)} of {len(each)} {split} rows; add the labels, or "
                "remove the rows"
            )
        if lost:
            notes.append(f"the {split} rows of {table.path} have no labels and are left out")
        else:
            kept[split] = each
    if len(kept) < 2:
        raise UserError(f"no row of {str(table.path)!r} is labelled beside the training rows; label some to test on")
    return kept, notes


def _doubled(table: CsvTable, files: Sequence[ListedFile], rows: Mapping[str, list[int]]) -> Iterator[str]:
    """Yield a sentence on images that are listed more than once."""
    places: dict[str, dict[int, str]] = {}  # split by row
    for split, each in rows.items():
        for row in each:
            places.setdefault(os.path.normpath(files[row].path), {})[row] = split
    doubled = [each for each in places.values() if len(each) > 1]
    across = [each for each in doubled if len({*each.values()}) > 1]
    if doubled:
        first, second, *_ = (across or doubled)[0]
        yield (
            f"{len(doubled)} images of {table.path} are listed more than once, {len(across)} of them in several "
            f"splits, such as {files[first].cell} in lines {table.lines[first]} and {table.lines[second]}"
        )
