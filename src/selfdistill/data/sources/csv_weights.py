"""Weights of examples in a column of a text table."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.data.sources.csv_table import CsvTable
from selfdistill.errors import UserError


def read_weights(table: CsvTable, column: str, rows: Sequence[int]) -> Tensor:
    """Read the weights of rows. -> [M] float32. Raises `UserError` for a cell that is no number above 0."""
    cells = table.column(column)
    return torch.tensor([_weight(cells[row], table, row, column) for row in rows])


def _weight(cell: str, table: CsvTable, row: int, column: str) -> float:
    try:
        weight = float(cell)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UserError(f"{table.at(row)} has {cell!r} in {column!r}, but a weight is a number above 0; correct it")
    return weight
