"""A study in numbers: what each row's runs show together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from selfdistill.records import RunResult
from selfdistill.study.analysis.comparison import Comparison, against_baseline, at_equal_compute
from selfdistill.study.analysis.statistics import Difference, MeanStd
from selfdistill.study.study import Study


@dataclass(frozen=True)
class Summary:
    """One row of a study's table. Accuracies are in percent, differences in points."""

    method: str
    top1: MeanStd  # on the test set, after the last epoch
    validation: tuple[float, float] | None  # after the last epoch and at the best, means; None if none was held out
    best: MeanStd | None  # on the test set, at each run's best epoch on the images held out; None without these
    against: Comparison | None  # None of the baseline, or where no seed finished both
    equal_compute: Comparison | None  # against cross-entropy trained for as much longer as this costs more
    added: int  # parameters, in training only
    compute: float | None  # of the whole training relative to ce(), by arithmetic; None where nobody asked
    time: float | None  # of a step, median, relative to the baseline's
    epochs: int


def summaries(study: Study) -> list[Summary]:
    """A summary for each row that finished a run, in the order they were asked for."""
    against, equal = against_baseline(study), at_equal_compute(study)
    base = study.finished(study.baseline)
    return [
        _summary(study, row, found, against.get(row), equal.get(row), base)
        for row in study.methods
        if (found := study.finished(row))
    ]


def _summary(
    study: Study,
    row: str,
    found: Sequence[RunResult],
    against: Comparison | None,
    equal: Comparison | None,
    base: Sequence[RunResult],
) -> Summary:
    return Summary(
        method=row,
        top1=MeanStd.of([each["top1"] for each in found]),
        validation=_validation(found),
        best=_best(found),
        against=against,
        equal_compute=equal,
        added=max(each["added_parameters"] for each in found),
        compute=study.compute.get(row),
        time=_step_ms(found) / _step_ms(base) if base else None,
        epochs=found[0]["epochs"],
    )


def _validation(found: Sequence[RunResult]) -> tuple[float, float] | None:
    if not all("best_validation_top1" in each for each in found):
        return None
    return fmean(each["validation_top1"] for each in found), fmean(each["best_validation_top1"] for each in found)


def _best(found: Sequence[RunResult]) -> MeanStd | None:
    values = [each["best_epoch_top1"] for each in found if "best_epoch_top1" in each]
    return MeanStd.of(values) if len(values) == len(found) else None


def _step_ms(found: Sequence[RunResult]) -> float:
    return float(median(each["step_ms"] for each in found))


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
        """The verdict in the table; empty if there is nothing to compare with."""
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
    """Return each row's cost relative to the baseline, and the unit of cost.

    By arithmetic, the same on every machine, where the study has that of all rows; else by the clock.
    """
    compute = [row.summary.compute for row in rows if row.summary.compute is not None]
    if len(compute) == len(rows):
        return "compute", compute
    return "step time", [row.summary.time for row in rows if row.summary.time is not None]
