"""Paired t-tests, confidence intervals and Holm correction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import stats

LEVEL = 0.05  # significance level
POWER = 0.8  # of the test, for the number of seeds needed
MOST_SEEDS = 1000


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation (None for one value)."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "MeanStd":
        """Summarize one or more values."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    @property
    def reach(self) -> float | None:
        """Half width of the mean's 95 % confidence interval (Student's t); None for one value."""
        if self.std is None:
            return None
        quantile = float(stats.t.ppf(1 - LEVEL / 2, self.n - 1))
        return quantile * self.std / math.sqrt(self.n)


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval and p value (Student's t), which one pair does not have.

    If all differences are equal, there is no interval and p is 1.
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
        if spread.std <= 1e-9 * max(map(abs, (*values, *baseline))):  # equal up to rounding
            return cls(spread.mean, None, None, spread.n, 0.0, 1.0)
        t = spread.mean / spread.std * spread.n**0.5
        p = 2 * float(stats.t.sf(abs(t), spread.n - 1))
        low, high = spread.mean - spread.reach, spread.mean + spread.reach
        return cls(spread.mean, low, high, spread.n, spread.std, p)

    @property
    def verdict(self) -> str:
        """Return the uncorrected verdict: "better", "worse", "not distinguishable" or "one seed"."""
        return verdict(self.mean, self.p)

    def seeds_needed(self, level: float = LEVEL) -> int | None:
        """Return the number of seeds that detect this difference with 80 % power at p < `level`.

        None if more than 1,000 are needed, or the standard deviation is unknown or 0.
        """
        if not self.std or not self.mean:
            return None
        effect = abs(self.mean) / self.std
        if power(effect, MOST_SEEDS, level) < POWER:
            return None
        few, enough = 1, MOST_SEEDS  # bisection: `few` are too few, `enough` suffice
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if power(effect, middle, level) >= POWER else (middle, enough)
        return enough


def verdict(mean: float, p: float | None) -> str:
    """Return the verdict for a mean difference and its p value."""
    if p is None:
        return "one seed"
    if p > LEVEL:
        return "not distinguishable"
    return "better" if mean > 0 else "worse"


def power(effect: float, n: int, level: float = LEVEL) -> float:
    """Compute the power of a two-sided paired t-test of n pairs; `effect` is in standard deviations."""
    shift, edge = effect * n**0.5, float(stats.t.isf(level / 2, n - 1))
    lower = stats.nct.sf(edge, n - 1, -shift)  # by symmetry, because scipy's cdf is NaN for large shifts
    return float(stats.nct.sf(edge, n - 1, shift) + lower)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p values for multiple tests by Holm's method, which controls the family-wise error rate.

    S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70.
    """
    corrected, worst = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda each: p_values[each])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = worst
    return corrected
