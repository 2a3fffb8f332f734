"""Summary of each row of a study over its seeds or folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean, median

from selfdistill.records import AnyResult, number
from selfdistill.run_key import RunKey
from selfdistill.study.analysis.comparison import Comparison, against_baseline, at_equal_compute
from selfdistill.study.analysis.statistics import Difference, MeanStd, fold_means
from selfdistill.study.study import Study


@dataclass(frozen=True)
class Summary:
    """One row of a study's table. Accuracies are in percent, differences in points."""

    method: str
    score: MeanStd  # on the test set, after the last epoch
    validation: tuple[float, float] | None  # means after the last and the best epoch; None without validation
    best: MeanStd | None  # on the test set, at each run's epoch of best validation accuracy; None without validation
    against: Comparison | None  # None for the baseline, or without shared seeds
    equal_compute: Comparison | None  # against cross-entropy trained for as many FLOPs
    added: int  # parameters used only in training
    compute: float | None  # FLOPs of the training relative to ce(); None if not requested
    time: float | None  # median step time relative to the baseline
    epochs: int


def summaries(study: Study) -> list[Summary]:
    """Return the summaries of all rows with a finished run, in the order of the study."""
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
    found: Sequence[AnyResult],
    against: Comparison | None,
    equal: Comparison | None,
    base: Sequence[AnyResult],
) -> Summary:
    return Summary(
        method=row,
        score=_mean_std(study, study.scores(row)),
        validation=_validation(study, row),
        best=_all_of(study, row, study.task.best_epoch),
        against=against,
        equal_compute=equal,
        added=max(each["added_parameters"] for each in found),
        compute=study.compute.get(row),
        time=_relative_time(found, base),
        epochs=round(fmean(each["epochs"] for each in found)),  # patience stops seeds at different ones
    )


def _mean_std(study: Study, values: Mapping[RunKey, float]) -> MeanStd:
    return MeanStd.of([*fold_means(values).values()], study.overlap)


def _validation(study: Study, row: str) -> tuple[float, float] | None:
    last, best = (_all_of(study, row, key) for key in (study.task.validation, study.task.best_validation))
    if last is None or best is None:
        return None
    return (last.mean, best.mean) if last.n and best.n else None


def _all_of(study: Study, row: str, name: str) -> MeanStd | None:
    """Return the mean of a score that all results of a row have; None where one lacks it."""
    found = study.results[row]
    values = {key: number(found[key], name) for key in study.keys if key in found and name in found[key]}
    return _mean_std(study, values) if len(values) == len(study.finished(row)) else None


def _relative_time(found: Sequence[AnyResult], base: Sequence[AnyResult]) -> float | None:
    """Return the ratio of median step times; None where one is unknown."""
    own, other = _step_ms(found), _step_ms(base)
    return None if own is None or other is None else own / other


def _step_ms(found: Sequence[AnyResult]) -> float | None:
    """Return the median of the step times above 0; None without any."""
    times = [each["step_ms"] for each in found if 0 < each["step_ms"] < inf]
    return float(median(times)) if times else None


@dataclass(frozen=True)
class Row:
    """A summary, marked if it is the baseline's."""

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
        """The verdict as one word, for styling."""
        return (self.verdict or "unknown").split()[0]

    @property
    def gain(self) -> float:
        """The mean difference; 0 for the baseline."""
        return self.difference.mean if self.difference else 0.0

    @property
    def low(self) -> float:
        """The lower end of the difference's interval, or the difference if it has none."""
        return self.gain if self.difference is None or self.difference.low is None else self.difference.low

    @property
    def high(self) -> float:
        """The upper end of the difference's interval, or the difference if it has none."""
        return self.gain if self.difference is None or self.difference.high is None else self.difference.high


def summary_rows(study: Study) -> list[Row]:
    """Return all rows with a finished run, in the order of the study."""
    return [Row(each, each.method == study.baseline) for each in summaries(study)]


def gaps(study: Study, method: str) -> dict[RunKey, float]:
    """Return the difference to the baseline by shared key, in points."""
    own, base = study.scores(method), study.scores(study.baseline)
    found = {key: own[key] - base[key] for key in study.keys if key in own and key in base}
    return {key: gap for key, gap in found.items() if isfinite(gap)}


def comparable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that a plot of cost and gain can show."""
    return [row for row in rows if row.summary.time is not None and (row.is_baseline or row.difference)]


def costs(rows: Sequence[Row]) -> tuple[str, list[float]]:
    """Return each row's cost relative to the baseline, and the unit of cost.

    FLOPs if all rows have them, since they do not depend on the machine; otherwise step time.
    """
    compute = [row.summary.compute for row in rows if row.summary.compute is not None]
    if len(compute) == len(rows):
        return "compute", compute
    return "step time", [row.summary.time for row in rows if row.summary.time is not None]
