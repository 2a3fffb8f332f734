"""A method's row of numbers: those of the printed table, not yet rounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from selfdistill.study import Study
from selfdistill.study.statistics import Difference, Spread
from selfdistill.study.table import header, rows


@dataclass(frozen=True)
class Row:
    """What a method reached over its seeds, and at what cost."""

    method: str
    accuracy: Spread  # top-1, percent
    difference: Difference | None  # to the baseline, points; None: the baseline, or no seed in common
    verdict: str
    added: int  # parameters trained beside the student's
    step_time: float | None  # relative to the baseline's

    @property
    def is_baseline(self) -> bool:
        """Whether the others are compared with this one."""
        return self.verdict == "baseline"

    @property
    def kind(self) -> str:
        """The verdict as one word, by which it is drawn."""
        return (self.verdict or "unknown").split()[0]

    @property
    def low(self) -> float:
        """The lower end of the difference's interval, or the difference where it has none."""
        return _either(self.difference, "low")

    @property
    def high(self) -> float:
        """The upper end of the difference's interval, or the difference where it has none."""
        return _either(self.difference, "high")


def rows_of(study: Study) -> list[Row]:
    """A row for each method that finished a run, in the order they were asked for."""
    return [_row(study, cells) for cells in cells_of(study)]


def cells_of(study: Study) -> list[dict[str, str]]:
    """The printed table's rows by the names of its columns."""
    return [dict(zip(header(study), cells, strict=True)) for cells in rows(study)]


def gaps(study: Study, method: str) -> dict[int, float]:
    """The difference to the baseline on each seed that both finished, in points."""
    own, base = study.results.get(method, {}), study.results.get(study.baseline, {})
    return {seed: own[seed]["top1"] - base[seed]["top1"] for seed in study.seeds if seed in own and seed in base}


def _row(study: Study, cells: dict[str, str]) -> Row:
    method = cells["method"]
    finished, base = study.finished(method), study.finished(study.baseline)
    found = list(gaps(study, method).values())
    return Row(
        method=method,
        accuracy=Spread.of([each["top1"] for each in finished]),
        difference=Difference.paired(found, [0.0] * len(found)) if found and method != study.baseline else None,
        verdict=cells["verdict"],
        added=max(each["added_parameters"] for each in finished),
        step_time=_step_ms(finished) / _step_ms(base) if base else None,
    )


def _step_ms(finished: Sequence[dict[str, Any]]) -> float:
    return median(each["step_ms"] for each in finished)


def _either(difference: Difference | None, end: str) -> float:
    if difference is None:
        return 0.0
    found = getattr(difference, end)
    return difference.mean if found is None else found
