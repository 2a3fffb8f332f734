"""Comparison of each row with the baseline, with p values corrected for the number of rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from selfdistill.study.analysis.statistics import LEVEL, Difference, holm, verdict
from selfdistill.study.study import Study


@dataclass(frozen=True)
class Comparison:
    """Paired difference of a row to another in points, as one of `among` comparisons."""

    difference: Difference
    corrected_p: float | None  # Holm's; None from one seed
    among: int

    @property
    def verdict(self) -> str:
        """Return the verdict by the corrected p value: "better", "worse", "not distinguishable", or "one seed"."""
        return verdict(self.difference.mean, self.corrected_p)

    @property
    def seeds_needed(self) -> int | None:
        """Return the number of seeds needed for significance after correction; None if above 1,000."""
        return self.difference.seeds_needed(LEVEL / self.among)


def against_baseline(study: Study) -> dict[str, Comparison]:
    """Compare every other row with the baseline on their shared seeds."""
    return _corrected({row: gap for row in study.methods if (gap := _against(study, row, study.baseline))})


def against(values: Mapping[str, Mapping[int, float]], baseline: str) -> dict[str, Comparison]:
    """Compare values by row and seed with those of the baseline."""
    base = values.get(baseline, {})
    gaps = {row: gap for row, own in values.items() if row != baseline and (gap := _paired(own, base))}
    return _corrected(gaps)


def at_equal_compute(study: Study) -> dict[str, Comparison]:
    """Compare each method that costs more with cross-entropy trained for as many FLOPs."""
    return _corrected(dict(_gaps_at_equal_compute(study)))


def _gaps_at_equal_compute(study: Study) -> Iterator[tuple[str, Difference]]:
    for row in study.methods:
        other = study.equal_compute(row)
        if other and row not in study.epochs and (gap := _against(study, row, other)):
            yield row, gap


def _corrected(gaps: dict[str, Difference]) -> dict[str, Comparison]:
    corrected = holm({row: gap.p for row, gap in gaps.items() if gap.p is not None})
    return {row: Comparison(gap, corrected.get(row), len(gaps)) for row, gap in gaps.items()}


def _against(study: Study, row: str, baseline: str) -> Difference | None:
    own, base = ({seed: each["top1"] for seed, each in study.results.get(name, {}).items()} for name in (row, baseline))
    return None if row == baseline else _paired(own, base)


def _paired(own: Mapping[int, float], base: Mapping[int, float]) -> Difference | None:
    """Return the difference over shared seeds; None without shared seeds."""
    pairs = [(own[seed], base[seed]) for seed in own if seed in base]
    return Difference.paired(*zip(*pairs, strict=True)) if pairs else None
