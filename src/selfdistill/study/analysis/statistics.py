"""Paired t-tests, also over folds, confidence intervals and Holm correction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import correlation as pearson
from statistics import fmean, stdev

from scipy import stats

from selfdistill.run_key import FoldSeed, RunKey

LEVEL = 0.05  # significance level
POWER = 0.8  # of the test, for the number of seeds needed
MOST_SEEDS = 1000
SMALLEST_RANGE = 1e-150  # whose square is a float above 0
INTERVAL = (LEVEL / 2, 1 - LEVEL / 2)  # quantiles of a 95 % interval


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation (None for one value) of the finite values; NaN where there are none."""

    mean: float
    std: float | None
    n: int
    overlap: float = 0.0  # test images by training images of values by fold; 0 for independent values

    @classmethod
    def of(cls, values: Sequence[float], overlap: float = 0.0) -> "MeanStd":
        """Summarize values; those that are NaN or infinite are left out and not counted in `n`."""
        found = [value for value in values if math.isfinite(value)]
        if not found:
            return cls(math.nan, None, 0, overlap)
        return cls(fmean(found), stdev(found) if len(found) > 1 else None, len(found), overlap)

    @property
    def reach(self) -> float | None:
        """Half width of the mean's 95 % confidence interval (Student's t); None for one value."""
        return None if self.std is None else reach(self.std, self.n, overlap=self.overlap)


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval and p value (Student's t).

    One pair has neither. Equal differences have neither, as their deviation is unknown, unless `resolution` sets a
    lower bound for the deviation. With an `overlap`, of values by fold, it is the corrected resampled t-test.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    std: float | None = None
    p: float | None = None
    correlation: float | None = None  # Pearson's, of the pairs: how much pairing by seed helps
    overlap: float = 0.0  # test images by training images of values by fold; 0 for independent values

    @classmethod
    def paired(
        cls,
        values: Sequence[float],
        baseline: Sequence[float],
        resolution: float | None = None,
        overlap: float = 0.0,
    ) -> "Difference":
        """Compare runs with the baseline's runs on the same seeds or folds, in the same order.

        Pairs with a NaN or infinite value are left out. `resolution` is the smallest difference that the values can
        have, one test image for an accuracy; the standard deviation is at least that.
        """
        pairs = [pair for pair in zip(values, baseline, strict=True) if all(map(math.isfinite, pair))]
        gaps = MeanStd.of([value - base for value, base in pairs])
        if gaps.std is None:
            return cls(gaps.mean, None, None, gaps.n, overlap=overlap)
        std, same = max(gaps.std, resolution or 0.0), correlation(pairs)
        if std <= 1e-9 * max(abs(each) for pair in pairs for each in pair):  # equal up to rounding
            return cls(gaps.mean, None, None, gaps.n, 0.0, None, same, overlap)
        p = 2 * float(stats.t.sf(abs(gaps.mean) / std * independent(gaps.n, overlap) ** 0.5, gaps.n - 1))
        half = reach(std, gaps.n, overlap=overlap)
        return cls(gaps.mean, gaps.mean - half, gaps.mean + half, gaps.n, std, p, same, overlap)

    @property
    def verdict(self) -> str:
        """Return the uncorrected verdict: "better", "worse", "not distinguishable", "one seed" or "untested"."""
        return verdict(self.mean, self.p, self.n, self.unit)

    @property
    def unit(self) -> str:
        """Return what a pair is of: "seed", or "fold"."""
        return "fold" if self.overlap else "seed"

    def detectable(self, level: float = LEVEL) -> float | None:
        """Return the smallest mean difference with p < `level` at this deviation; None without a deviation."""
        return reach(self.std, self.n, level, self.overlap) if self.std else None

    def seeds_needed(self, level: float = LEVEL) -> int | None:
        """Return the number of seeds that detect this difference with 80 % power at p < `level`.

        None if more than 1,000 are needed, for folds, or if the standard deviation is unknown or 0.
        """
        return seeds_needed(self.mean, self.std, level) if self.std and not self.overlap else None

    def seeds_needed_range(self, level: float = LEVEL) -> tuple[int | None, int | None] | None:
        """Return `seeds_needed` at the ends of the deviation's 95 % interval (chi-squared); None without a deviation.

        The difference is treated as exact, so the true range is wider. None for folds, whose number is not free.
        """
        if not self.std or self.overlap:
            return None
        ends = [self.std * ((self.n - 1) / float(stats.chi2.ppf(q, self.n - 1))) ** 0.5 for q in INTERVAL]
        return seeds_needed(self.mean, ends[1], level), seeds_needed(self.mean, ends[0], level)


def reach(std: float, n: int, level: float = LEVEL, overlap: float = 0.0) -> float:
    """Return the half width of a mean's confidence interval (Student's t): 95 % at the default level."""
    return float(stats.t.isf(level / 2, n - 1)) * std / math.sqrt(independent(n, overlap))


def independent(n: int, overlap: float) -> float:
    """Return the number of independent values whose mean is as uncertain as that of n folds: 1 / (1/n + overlap).

    `overlap` is the number of test images by that of training images. Folds share training images, so their mean varies
    more than that of independent values: the corrected resampled t-test.

    C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003) 239-281, section 3.

    >>> independent(5, 0.0), round(independent(5, 0.25), 3)
    (5.0, 2.222)
    """
    return n / (1 + n * overlap)


def fold_means(values: Mapping[RunKey, float]) -> dict[int, float]:
    """Average the finite values of each fold over its seeds; without folds, return the finite values by seed.

    >>> fold_means({FoldSeed(0, 0): 90.0, FoldSeed(0, 1): 92.0, FoldSeed(1, 0): 88.0})
    {0: 91.0, 1: 88.0}
    """
    folds: dict[int, list[float]] = {}
    for key, value in values.items():
        if math.isfinite(value):
            folds.setdefault(key.fold if isinstance(key, FoldSeed) else key, []).append(value)
    return {fold: fmean(each) for fold, each in folds.items()}


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's correlation of three or more pairs; None for fewer, and where one side is constant."""
    sides = list(zip(*pairs, strict=True))
    if len(pairs) < 3 or any(is_constant(side) for side in sides):
        return None
    return float(pearson(*sides))


def is_constant(values: Sequence[float]) -> bool:
    """Return whether values differ by rounding alone, or by so little that the square of their range is 0."""
    return max(values) - min(values) <= max(1e-9 * max(map(abs, values)), SMALLEST_RANGE)


def seeds_needed(mean: float, std: float, level: float = LEVEL) -> int | None:
    """Return the number of seeds that detect a difference with 80 % power at p < `level`; None above 1,000."""
    effect = abs(mean) / std
    if not effect or power(effect, MOST_SEEDS, level) < POWER:
        return None
    few, enough = 1, MOST_SEEDS  # bisection: `few` are too few, `enough` suffice
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if power(effect, middle, level) >= POWER else (middle, enough)
    return enough


def verdict(mean: float, p: float | None, n: int, unit: str = "seed") -> str:
    """Return the verdict for a mean difference of n pairs and its p value, which is None without a test."""
    if n == 1:
        return f"one {unit}"
    if p is None or not math.isfinite(p) or not math.isfinite(mean):
        return "untested"
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

    A p value that is NaN is no test: it is left out and not counted.

    S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70.
    """
    corrected, worst = {}, 0.0
    tests = {name: p for name, p in p_values.items() if not math.isnan(p)}
    for rank, name in enumerate(sorted(tests, key=lambda each: tests[each])):
        worst = max(worst, min(1.0, (len(tests) - rank) * tests[name]))
        corrected[name] = worst
    return corrected
