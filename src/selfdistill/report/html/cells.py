"""Cells of the accuracy table, each with its values per run."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from selfdistill.records import AnyResult
from selfdistill.report.runs import anchor
from selfdistill.report.tables.accuracy import header, rows
from selfdistill.run_key import RunKey, in_words
from selfdistill.study import Study
from selfdistill.study.analysis.summary import gaps, summary_rows

PER_RUN: dict[str, Callable[[AnyResult, float | None], str]] = {  # a run's value, by a column's first word
    "against": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "p": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "verdict": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "detectable": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "added": lambda result, gap: f"{result['added_parameters']:,}",
    "time": lambda result, gap: f"{result['step_ms']:.1f} ms",
}


@dataclass(frozen=True)
class RunValue:
    """Value of one run in a cell."""

    name: str  # such as "seed 0"
    text: str
    anchor: str


@dataclass(frozen=True)
class TableCell:
    """Text of a cell, and its values per run."""

    text: str
    runs: list[RunValue]
    verdict: str = ""  # of the row, in tables over several studies

    @property
    def key(self) -> float | None:
        """Sort key: the first number, as in "+9,610" or "1.20x"."""
        found = re.match(r"[<>]?([+-]?(?:\d[\d,]*)?(?:\.\d+)?)", self.text)
        return float(found[1].replace(",", "")) if found and found[1] else None


def table(study: Study) -> list[list[TableCell]]:
    """Compute the rows of the accuracy table."""
    columns = header(study)
    return [[_cell(study, cells[0], *pair) for pair in zip(columns, cells, strict=True)] for cells in rows(study)]


def across_studies(studies: list[Study]) -> list[tuple[str, list[TableCell]]]:
    """List each method with its accuracy in each study with results."""
    found = [_accuracies(study) for study in studies if study.results]
    methods = dict.fromkeys(method for each in found for method in each)
    return [(method, [each.get(method, TableCell("", [])) for each in found]) for method in methods]


def _accuracies(study: Study) -> dict[str, TableCell]:
    """Return the accuracy cell of each method, with its verdict."""
    verdicts = {row.method: row.verdict for row in summary_rows(study)}
    return {first.text: replace(second, verdict=verdicts[first.text]) for first, second, *_ in table(study)}


def _cell(study: Study, method: str, column: str, text: str) -> TableCell:
    return TableCell(text, _per_run(study, method, column) if text else [])


def scores(study: Study, method: str) -> list[tuple[RunKey, float]]:
    """List the scores of a row in the order of the folds and seeds."""
    found = study.scores(method)
    return [(key, found[key]) for key in study.keys if key in found]


def _per_run(study: Study, method: str, column: str) -> list[RunValue]:
    if column in (f"{study.task.title} %", "n"):
        found = [(key, f"{each:.2f} %") for key, each in scores(study, method)]
        return [RunValue(in_words(key), text, anchor(study, method, key)) for key, text in found]
    shown = PER_RUN.get(column.split()[0])
    results, apart = study.results[method], gaps(study, method) if method != study.baseline else {}
    found = [(key, shown(results[key], apart.get(key))) for key in study.keys if key in results] if shown else []
    return [RunValue(in_words(key), text, anchor(study, method, key)) for key, text in found if text]
