"""Published tables: reported values, their source and recipe, and the cells that cannot be reproduced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from selfdistill.train.config import RunConfig

ReportedMetric = Literal["top-1", "top-1 error", "top-5 error", "NLL", "ECE"]

METRICS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "top-1": lambda found: found["top1"],
    "top-1 error": lambda found: 100 - found["top1"],
    "top-5 error": lambda found: 100 - found["top5"],
    "NLL": lambda found: found["nll"],
    "ECE": lambda found: found["ece"],
}


@dataclass(frozen=True)
class PublishedValue:
    """A published value of a method on a model, in percent (NLL in nats)."""

    model: str
    method: str
    expected: float
    metric: ReportedMetric = "top-1"
    std: float | None = None  # None if the source gives none


@dataclass(frozen=True)
class Missing:
    """A cell that cannot be reproduced, and the reason."""

    what: str
    why: str


@dataclass(frozen=True)
class Published:
    """A table with its recipe; `reported` is its protocol, `differs` lists deviations of our runs."""

    title: str
    source: str  # URL and table
    reported: str
    recipe: RunConfig
    images: int  # in the whole training set
    cells: tuple[PublishedValue, ...]
    missing: tuple[Missing, ...] = ()
    differs: tuple[str, ...] = ()


def column(model: str, expected: Mapping[str, float], metric: ReportedMetric = "top-1") -> tuple[PublishedValue, ...]:
    """Return the cells of one model and metric, by method."""
    return tuple(PublishedValue(model, method, value, metric) for method, value in expected.items())


BEST_EPOCH = "the best epoch on the test set of one run, which is higher than the last epoch's that we report"
"""The metric that most self-distillation repositories print."""
