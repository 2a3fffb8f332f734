"""A published table: what was reported of which runs, where, and what of it we cannot make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from selfdistill.train.config import RunConfig

Measure = Literal["top-1", "top-1 error", "top-5 error", "NLL", "ECE"]

MEASURES: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "top-1": lambda found: found["top1"],
    "top-1 error": lambda found: 100 - found["top1"],
    "top-5 error": lambda found: 100 - found["top5"],
    "NLL": lambda found: found["nll"],
    "ECE": lambda found: found["ece"],
}


@dataclass(frozen=True)
class PublishedValue:
    """One number as it was printed: of a method on a model, in percent (NLL in nats)."""

    model: str
    method: str
    expected: float
    measure: Measure = "top-1"
    std: float | None = None  # where the source gives one


@dataclass(frozen=True)
class Missing:
    """A number that we cannot make, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Published:
    """A table with its recipe. `reported` says how its numbers came about, `differs` what our runs do otherwise."""

    title: str
    source: str  # an address, and which table
    reported: str
    recipe: RunConfig
    images: int  # in the whole training set
    cells: tuple[PublishedValue, ...]
    missing: tuple[Missing, ...] = ()
    differs: tuple[str, ...] = ()


def column(model: str, expected: Mapping[str, float], measure: Measure = "top-1") -> tuple[PublishedValue, ...]:
    """The cells of one model and measure, by method."""
    return tuple(PublishedValue(model, method, value, measure) for method, value in expected.items())


BEST_EPOCH = "the best epoch on the test set of one run, which is higher than the last epoch's that we report"
"""The metric that most self-distillation repositories print."""
