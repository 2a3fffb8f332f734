"""The printed table's cells, each with the runs behind it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selfdistill.report.row import cells_of, gaps
from selfdistill.report.runs import anchor
from selfdistill.study import Study
from selfdistill.study.table import header

Result = dict[str, Any]
PER_SEED: dict[str, Callable[[Result, float | None], str]] = {  # what a cell holds of one run, by its column's start
    "top-1": lambda result, gap: f"{result['top1']:.2f} %",
    "against": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "verdict": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "added": lambda result, gap: f"{result['added_parameters']:,}",
    "step time": lambda result, gap: f"{result['step_ms']:.1f} ms",
    "n": lambda result, gap: f"{result['top1']:.2f} %",
}


@dataclass(frozen=True)
class Behind:
    """What one run says to a cell."""

    seed: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Cell:
    """A cell as printed, what it is sorted by, and its runs."""

    text: str
    key: float | None  # the first number in it
    runs: list[Behind]


def table(study: Study) -> list[list[Cell]]:
    """The rows of the printed table."""
    return [
        [_cell(study, cells["method"], column, cells[column]) for column in header(study)] for cells in cells_of(study)
    ]


def over_all(studies: list[Study]) -> list[tuple[str, list[Cell]]]:
    """Each method with its accuracy in each study."""
    found = [{row[0].text: row[1] for row in table(study)} for study in studies if study.results]
    methods = dict.fromkeys(method for each in found for method in each)
    return [(method, [each.get(method, Cell("", None, [])) for each in found]) for method in methods]


def number(text: str) -> float | None:
    """The first number in a text, as in "+9,610" or "1.20x"; None without one."""
    found = re.match(r"[+-]?\d[\d,]*(\.\d+)?", text)
    return float(found[0].replace(",", "")) if found else None


def _cell(study: Study, method: str, column: str, text: str) -> Cell:
    return Cell(text, number(text), _behind(study, method, column) if text else [])


def _behind(study: Study, method: str, column: str) -> list[Behind]:
    shown = next((show for start, show in PER_SEED.items() if column.startswith(start)), None)
    results, apart = study.results[method], gaps(study, method) if method != study.baseline else {}
    found = [(seed, shown(results[seed], apart.get(seed))) for seed in study.seeds if seed in results] if shown else []
    return [Behind(seed, text, anchor(study, method, seed)) for seed, text in found if text]
