"""Types of the numbers that metrics return, as JSON stores them."""

from collections.abc import Mapping, Sequence

MetricValue = str | float | None | Sequence[float] | Mapping[str, float]
ClassRow = dict[str, str | float | None]
MetricValues = Mapping[str, MetricValue] | Sequence[ClassRow]
