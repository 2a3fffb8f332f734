"""What a few seeds can say."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import stats


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation; the deviation of one value is not known."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise one value or more."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval (Student's t); no interval from one pair."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @classmethod
    def paired(cls, values: Sequence[float], baseline: Sequence[float], level: float = 0.95) -> "Difference":
        """Compare runs with the baseline's runs on the same seeds, in the same order."""
        gaps = [value - base for value, base in zip(values, baseline, strict=True)]
        spread = Spread.of(gaps)
        if spread.std is None:
            return cls(spread.mean, None, None, spread.n)
        reach = float(stats.t.ppf((1 + level) / 2, spread.n - 1)) * spread.std / spread.n**0.5
        return cls(spread.mean, spread.mean - reach, spread.mean + reach, spread.n)

    @property
    def verdict(self) -> str:
        """Whether zero is ruled out: "better", "worse", "not distinguishable", or "one seed"."""
        if self.low is None or self.high is None:
            return "one seed"
        if self.low <= 0 <= self.high:
            return "not distinguishable"
        return "better" if self.low > 0 else "worse"
