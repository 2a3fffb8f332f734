"""Paired t-tests, confidence intervals and Holm correction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import stats

LEVEL = 0.05  # above it a difference is not distinguishable from chance
POWER = 0.8  # the chance of seeing a difference that is there, by which seeds are counted
MOST_SEEDS = 1000


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation; the deviation of one value is not known."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "MeanStd":
        """Summarise one value or more."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    @property
    def reach(self) -> float | None:
        """Half of the mean's own 95 % interval (Student's t); None from one value."""
        if self.std is None:
            return None
        quantile = float(stats.t.ppf(1 - LEVEL / 2, self.n - 1))
        return quantile * self.std / math.sqrt(self.n)


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval and p value (Student's t); neither from one pair.

    Differences that are all the same say nothing of their spread: no interval, and a p of 1.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    std: float | None = None
    p: float | None = None

    @classmethod
    def paired(cls, values: Sequence[float], baseline: Sequence[float]) -> "Difference":
        """Compare runs with the baseline's runs on the same seeds, in the same order."""
        gaps = [value - base for value, base in zip(values, baseline, strict=True)]
        spread = MeanStd.of(gaps)
        if spread.std is None or spread.reach is None:
            return cls(spread.mean, None, None, spread.n)
        if spread.std <= 1e-9 * max(map(abs, (*values, *baseline))):  # rounding, not spread
            return cls(spread.mean, None, None, spread.n, 0.0, 1.0)
        t = spread.mean / spread.std * spread.n**0.5
        p = 2 * float(stats.t.sf(abs(t), spread.n - 1))
        low, high = spread.mean - spread.reach, spread.mean + spread.reach
        return cls(spread.mean, low, high, spread.n, spread.std, p)

    @property
    def verdict(self) -> str:
        """The verdict of this comparison alone: "better", "worse", "not distinguishable" or "one seed"."""
        return verdict(self.mean, self.p)

    def seeds_needed(self, level: float = LEVEL) -> int | None:
        """Seeds needed to detect this difference at this standard deviation, with 80 % power at p < `level`.

        None where more than 1,000 would not do, or nothing is known of the spread.
        """
        if not self.std or not self.mean:
            return None
        effect = abs(self.mean) / self.std
        if power(effect, MOST_SEEDS, level) < POWER:
            return None
        few, enough = 1, MOST_SEEDS  # few do not do, enough do
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if power(effect, middle, level) >= POWER else (middle, enough)
        return enough


def verdict(mean: float, p: float | None) -> str:
    """A difference and its p value in words."""
    if p is None:
        return "one seed"
    if p > LEVEL:
        return "not distinguishable"
    return "better" if mean > 0 else "worse"


def power(effect: float, n: int, level: float = LEVEL) -> float:
    """The chance that a paired t test of n pairs sees an effect of so many standard deviations, two-sided."""
    shift, edge = effect * n**0.5, float(stats.t.isf(level / 2, n - 1))
    lower = stats.nct.sf(edge, n - 1, -shift)  # by symmetry: scipy's cdf gives no number for large shifts
    return float(stats.nct.sf(edge, n - 1, shift) + lower)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p values for their number: by Holm's way the chance of even one false find stays at the level.

    S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70.
    """
    corrected, worst = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda each: p_values[each])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = worst
    return corrected
