"""Comparison of each row with the baseline, with p values corrected for the number of rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from selfdistill.run_key import RunKey
from selfdistill.study.analysis.statistics import LEVEL, Difference, fold_means, holm, verdict
from selfdistill.study.study import Study


@dataclass(frozen=True)
class Comparison:
    """Paired difference of a row to another in points, as one of `among` comparisons."""

    difference: Difference
    corrected_p: float | None  # Holm's; None without a test
    among: int

    @property
    def verdict(self) -> str:
        """Return the verdict by the corrected p value, in the words of `statistics.verdict`."""
        return verdict(self.difference.mean, self.corrected_p, self.difference.n, self.difference.unit)

    @property
    def seeds_needed(self) -> int | None:
        """Return the number of seeds needed for significance after correction; None if above 1,000."""
        return self.difference.seeds_needed(LEVEL / self.among)

    @property
    def seeds_needed_range(self) -> tuple[int | None, int | None] | None:
        """Return `seeds_needed` at both ends of the deviation's 95 % interval."""
        return self.difference.seeds_needed_range(LEVEL / self.among)

    @property
    def detectable(self) -> float | None:
        """Return the smallest difference that these seeds could show: p < 5 % after the strictest correction."""
        return self.difference.detectable(LEVEL / self.among)


def against_baseline(study: Study) -> dict[str, Comparison]:
    """Compare every other row with the baseline on their shared seeds, or folds."""
    return corrected_by_holm({row: gap for row in study.methods if (gap := _against(study, row, study.baseline))})


def against(
    values: Mapping[str, Mapping[RunKey, float]], baseline: str, resolution: float | None = None, overlap: float = 0.0
) -> dict[str, Comparison]:
    """Compare values by row and key with those of the baseline; the other arguments are as in `Difference.paired`."""
    base, others = values.get(baseline, {}), {row: own for row, own in values.items() if row != baseline}
    gaps = {row: gap for row, own in others.items() if (gap := paired(own, base, resolution, overlap))}
    return corrected_by_holm(gaps)


def at_equal_compute(study: Study) -> dict[str, Comparison]:
    """Compare each method that costs more with cross-entropy trained for as many FLOPs."""
    return corrected_by_holm(dict(_gaps_at_equal_compute(study)))


def _gaps_at_equal_compute(study: Study) -> Iterator[tuple[str, Difference]]:
    for row in study.methods:
        other = study.equal_compute(row)
        if other and row not in study.epochs and (gap := _against(study, row, other)):
            yield row, gap


def corrected_by_holm(gaps: Mapping[str, Difference]) -> dict[str, Comparison]:
    """Correct the p values of differences, by row, for their number."""
    corrected = holm({row: gap.p for row, gap in gaps.items() if gap.p is not None})
    return {row: Comparison(gap, corrected.get(row), max(len(corrected), 1)) for row, gap in gaps.items()}


def _against(study: Study, row: str, baseline: str) -> Difference | None:
    own, base = (study.scores(name) for name in (row, baseline))
    return None if row == baseline else paired(own, base, study.one_image, study.overlap)


def paired(
    own: Mapping[RunKey, float], base: Mapping[RunKey, float], resolution: float | None, overlap: float = 0.0
) -> Difference | None:
    """Return the difference over shared runs, averaged within folds; None without shared runs with finite values."""
    shared = [key for key in own if key in base and isfinite(own[key]) and isfinite(base[key])]
    if not shared:
        return None
    values, baseline = ([*fold_means({key: side[key] for key in shared}).values()] for side in (own, base))
    return Difference.paired(values, baseline, resolution, overlap)
