"""Cells of the accuracy table, each with its values per seed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from selfdistill.records import AnyResult
from selfdistill.report.runs import anchor
from selfdistill.report.tables.accuracy import header, rows
from selfdistill.study import Study
from selfdistill.study.analysis.summary import gaps, summary_rows

PER_SEED: dict[str, Callable[[AnyResult, float | None], str]] = {  # a run's value, by a column's first word
    "against": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "p": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "verdict": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "detectable": lambda result, gap: "" if gap is None else f"{gap:+.2f}",
    "added": lambda result, gap: f"{result['added_parameters']:,}",
    "time": lambda result, gap: f"{result['step_ms']:.1f} ms",
}


@dataclass(frozen=True)
class SeedValue:
    """Value of one run in a cell."""

    seed: int
    text: str
    anchor: str


@dataclass(frozen=True)
class TableCell:
    """Text of a cell, and its values per seed."""

    text: str
    runs: list[SeedValue]
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
    return TableCell(text, _per_seed(study, method, column) if text else [])


def scores(study: Study, method: str) -> list[tuple[int, float]]:
    """List the scores of a row in the order of the seeds."""
    found = study.scores(method)
    return [(seed, found[seed]) for seed in study.seeds if seed in found]


def _per_seed(study: Study, method: str, column: str) -> list[SeedValue]:
    if column in (f"{study.task.title} %", "n"):
        return [SeedValue(seed, f"{each:.2f} %", anchor(study, method, seed)) for seed, each in scores(study, method)]
    shown = PER_SEED.get(column.split()[0])
    results, apart = study.results[method], gaps(study, method) if method != study.baseline else {}
    found = [(seed, shown(results[seed], apart.get(seed))) for seed in study.seeds if seed in results] if shown else []
    return [SeedValue(seed, text, anchor(study, method, seed)) for seed, text in found if text]
