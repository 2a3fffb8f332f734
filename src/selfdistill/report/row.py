"""A row of a study as it is drawn and told."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfdistill.study import Study
from selfdistill.study.comparison import Comparison
from selfdistill.study.statistics import Difference
from selfdistill.study.summary import Summary, summaries


@dataclass(frozen=True)
class Row:
    """A summary, and whether the others are compared with it."""

    summary: Summary
    is_baseline: bool

    @property
    def method(self) -> str:
        """The row's name."""
        return self.summary.method

    @property
    def against(self) -> Comparison | None:
        """The comparison to the baseline."""
        return self.summary.against

    @property
    def difference(self) -> Difference | None:
        """The difference to the baseline, in points."""
        return self.against.difference if self.against else None

    @property
    def verdict(self) -> str:
        """What the table says of it; empty where there is nothing to compare with."""
        return "baseline" if self.is_baseline else self.against.verdict if self.against else ""

    @property
    def kind(self) -> str:
        """The verdict as one word, by which it is drawn."""
        return (self.verdict or "unknown").split()[0]

    @property
    def gain(self) -> float:
        """The mean difference; 0 of the baseline."""
        return self.difference.mean if self.difference else 0.0

    @property
    def low(self) -> float:
        """The lower end of the difference's interval, or the difference where it has none."""
        return self.gain if self.difference is None or self.difference.low is None else self.difference.low

    @property
    def high(self) -> float:
        """The upper end of the difference's interval, or the difference where it has none."""
        return self.gain if self.difference is None or self.difference.high is None else self.difference.high


def rows_of(study: Study) -> list[Row]:
    """A row for each that finished a run, in the order they were asked for."""
    return [Row(each, each.method == study.baseline) for each in summaries(study)]


def gaps(study: Study, method: str) -> dict[int, float]:
    """The difference to the baseline on each seed that both finished, in points."""
    own, base = study.results.get(method, {}), study.results.get(study.baseline, {})
    return {seed: own[seed]["top1"] - base[seed]["top1"] for seed in study.seeds if seed in own and seed in base}


def comparable(rows: Sequence[Row]) -> list[Row]:
    """The rows with a place in a drawing of cost against gain."""
    return [row for row in rows if row.summary.time is not None and (row.is_baseline or row.difference)]


def costs(rows: Sequence[Row]) -> tuple[str, list[float]]:
    """What each row costs relative to the baseline, and how that is measured.

    By arithmetic, the same on every machine, where the study has that of all rows; else by the clock.
    """
    compute = [row.summary.compute for row in rows if row.summary.compute is not None]
    if len(compute) == len(rows):
        return "compute", compute
    return "step time", [row.summary.time for row in rows if row.summary.time is not None]
