"""Values along a line of pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from math import ceil, floor, log10

STEPS = (1, 2, 2.5, 5, 10)  # times a power of ten


@dataclass(frozen=True)
class Axis:
    """A range of values laid along the pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, margin: float = 0.05) -> "Axis":
        """Hold all values, with a margin as a share of their range; one value lies in the middle."""
        found = list(values)
        low, high = min(found), max(found)
        room = margin * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - room, high + room, start, end)

    def at(self, value: float) -> float:
        """The pixel of a value, to a tenth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the range, `most` at most."""
        step = _step((self.high - self.low) / most)
        first, last = ceil(self.low / step), floor(self.high / step)
        return [round(k * step, 10) for k in range(first, last + 1)]

    def decimals(self) -> int:
        """How many decimals tell the ticks apart."""
        ticks = self.ticks()
        return sum(1 for _ in takewhile(lambda n: any(round(each, n) != each for each in ticks), range(6)))


def _step(least: float) -> float:
    """The smallest round step that is not below `least`."""
    power = 10.0 ** floor(log10(least))
    return next(each * power for each in STEPS if each * power >= least * (1 - 1e-9))
