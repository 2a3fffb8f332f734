"""Splits of the rows of a text table: by a column, or a test set that is drawn, with groups kept together."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart, option_of, sameness
from selfdistill.data.sources.csv_table import CsvTable
from selfdistill.data.sources.folder_layout import SPLIT_WORDS
from selfdistill.data.subsets import draw_test
from selfdistill.errors import UserError


class RowSplits(NamedTuple):
    """Rows of each split."""

    rows: Mapping[str, list[int]]  # of train, and of validation, test or both
    notes: tuple[str, ...] = ()


def column_splits(table: CsvTable, column: str, groups: Tensor | None, alone: bool = False) -> RowSplits:
    """Read the split of each row from a column: train, val or test, in any case and in the usual spellings.

    Raises `UserError` for another word, without test and validation rows unless those of train may be `alone`, and for
    a group in two splits.
    """
    rows: dict[str, list[int]] = {}
    for row, cell in enumerate(table.column(column)):
        word = cell.strip().lower()
        if word not in SPLIT_WORDS:
            raise UserError(
                f"{table.at(row)} has {cell!r} in the column {column!r}, but splits are train, val and test; correct "
                "it, name another column by ?split=COLUMN, or draw the test rows by ?test=SHARE"
            )
        rows.setdefault(SPLIT_WORDS[word], []).append(row)
    if "train" not in rows or (len(rows) < 2 and not alone):
        raise UserError(
            f"the column {column!r} of {str(table.path)!r} has {' and '.join(rows)} rows alone; mark rows as train and "
            "as test or val, or draw the test rows by ?test=SHARE"
        )
    if groups is not None:
        _require_whole_groups(table, rows, groups)
    return RowSplits(rows)


def drawn_splits(table: CsvTable, part: TestPart, strata: Tensor, groups: Tensor | None, asked: bool) -> RowSplits:
    """Draw a share of the rows, or a fold, as the test set, the same for all seeds.

    Each class keeps its share, or groups [N] stay whole. `strata` are labels [N] or tags [N, T].
    """
    train, test = draw_test(strata, part, groups)
    why = "" if asked else f"{table.path} has no column 'split': "
    kept = "" if groups is None else ", in whole groups"
    of = "its" if why else f"the {len(table)}"
    note = f"{why}{len(test)} of {of} rows{kept}, {sameness(part)}, are the test set"
    return RowSplits({"train": train.tolist(), "test": test.tolist()}, (note,))


def with_drawn(table: CsvTable, found: RowSplits, part: TestPart, strata: Tensor, groups: Tensor | None) -> RowSplits:
    """Draw a share of the training rows, or a fold, as the test set. Raises `UserError` where there are test rows."""
    if "test" in found.rows:
        raise UserError(f"{str(table.path)!r} has test rows, so there is nothing to draw; leave out {option_of(part)}")
    rows = torch.tensor(found.rows["train"])
    train, test = draw_test(strata[rows], part, None if groups is None else groups[rows])
    kept = "" if groups is None else ", in whole groups"
    note = f"{len(test)} of the {len(rows)} training rows{kept}, {sameness(part)}, are the test set"
    return RowSplits({**found.rows, "train": rows[train].tolist(), "test": rows[test].tolist()}, (note,))


def number_groups(table: CsvTable, column: str | None) -> Tensor | None:
    """Number the groups of rows by the cells of a column, in the order of their first rows. -> [N].

    Raises `UserError` for an empty cell.
    """
    if column is None:
        return None
    cells = [each.strip() for each in table.column(column)]
    if "" in cells:
        raise UserError(f"{table.at(cells.index(''))} has no group in the column {column!r}; add it")
    places = {each: k for k, each in enumerate(dict.fromkeys(cells))}
    return torch.tensor([places[each] for each in cells])


def _require_whole_groups(table: CsvTable, rows: Mapping[str, Sequence[int]], groups: Tensor) -> None:
    """Raise `UserError` for a group that has rows in two splits."""
    first: dict[int, tuple[str, int]] = {}
    for split, each in rows.items():
        for row in each:
            other, there = first.setdefault(int(groups[row]), (split, row))
            if other != split:
                raise UserError(
                    f"one group has rows in two splits: {table.at(there)} is {other}, {table.at(row)} is {split}; "
                    "correct the splits, or leave out ?group"
                )
