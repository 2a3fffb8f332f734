"""Linear axis: values to pixels, and ticks."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from math import ceil, floor, log10

STEPS = (1, 2, 2.5, 5, 10)  # times a power of ten


@dataclass(frozen=True)
class Axis:
    """A linear map of the values `low` to `high` to the pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, margin: float = 0.05) -> "Axis":
        """Create an axis over all values, with a margin relative to their range; a single value is centered."""
        found = list(values)
        low, high = min(found), max(found)
        room = margin * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - room, high + room, start, end)

    def at(self, value: float) -> float:
        """Return the pixel of a value, rounded to 0.1."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Return at most about `most` round values within the range."""
        step = _step((self.high - self.low) / most)
        first, last = ceil(self.low / step), floor(self.high / step)
        return [round(k * step, 10) for k in range(first, last + 1)]

    def decimals(self) -> int:
        """Return the number of decimals that the ticks need."""
        ticks = self.ticks()
        return sum(1 for _ in takewhile(lambda n: any(round(each, n) != each for each in ticks), range(6)))


def _step(least: float) -> float:
    """Return the smallest round step of at least `least`."""
    power = 10.0 ** floor(log10(least))
    return next(each * power for each in STEPS if each * power >= least * (1 - 1e-9))
