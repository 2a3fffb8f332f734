"""A study in numbers: what each row's runs show together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from selfdistill.study.comparison import Comparison, against_baseline, at_equal_compute
from selfdistill.study.statistics import Spread
from selfdistill.study.study import Study


@dataclass(frozen=True)
class Summary:
    """One row of a study's table. Accuracies are in percent, differences in points."""

    method: str
    top1: Spread  # on the test set, after the last epoch
    validation: tuple[float, float] | None  # after the last epoch and at the best, means; None if none was held out
    best: Spread | None  # on the test set, at each run's best epoch on the images held out; None without these
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
    found: Sequence[dict[str, Any]],
    against: Comparison | None,
    equal: Comparison | None,
    base: Sequence[dict[str, Any]],
) -> Summary:
    return Summary(
        method=row,
        top1=Spread.of([each["top1"] for each in found]),
        validation=_validation(found),
        best=_best(found),
        against=against,
        equal_compute=equal,
        added=max(each["added_parameters"] for each in found),
        compute=study.compute.get(row),
        time=_step_ms(found) / _step_ms(base) if base else None,
        epochs=found[0]["epochs"],
    )


def _validation(found: Sequence[dict[str, Any]]) -> tuple[float, float] | None:
    if not all("best_validation_top1" in each for each in found):
        return None
    return fmean(each["validation_top1"] for each in found), fmean(each["best_validation_top1"] for each in found)


def _best(found: Sequence[dict[str, Any]]) -> Spread | None:
    values = [each["best_epoch_top1"] for each in found if "best_epoch_top1" in each]
    return Spread.of(values) if len(values) == len(found) else None


def _step_ms(found: Sequence[dict[str, Any]]) -> float:
    return median(each["step_ms"] for each in found)
