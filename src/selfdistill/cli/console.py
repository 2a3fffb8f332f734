"""Console output of the command: tables, failures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from selfdistill.run_key import in_words

if TYPE_CHECKING:
    from selfdistill.study.study import Study

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: styled on a terminal, aligned text elsewhere."""
    if console.is_terminal:
        table = Table(*header, header_style="bold", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        print(aligned([header, *rows]))


def list_left_out(studies: "Sequence[Study]") -> None:
    """Print the runs whose files cannot be read, each with the reason."""
    for study in studies:
        for (method, key), why in study.left_out.items():
            errors.print(f"selfdistill: left out {method}, {in_words(key)}: {why}", soft_wrap=True, markup=False)


def report_failures(studies: "Sequence[Study]") -> None:
    """Print the failed runs of these studies; exit status 1 if there are any."""
    from selfdistill.study.study import describe_runs

    for study in studies:
        of = f" ({describe_runs(study.base)})" if len(studies) > 1 else ""
        for method, error in study.errors.items():
            errors.print(f"selfdistill: {method} failed{of}: {error}", soft_wrap=True, markup=False)
    if any(study.errors for study in studies):
        raise typer.Exit(1)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Join rows of cells to lines of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)
