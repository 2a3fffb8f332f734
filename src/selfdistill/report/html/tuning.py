"""The page of a tuning: default beside tuned, and for each method the importance and a slice of each dimension."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup

from selfdistill import __version__
from selfdistill.report.html.axis import Axis
from selfdistill.report.html.template import asset, policy, template_environment
from selfdistill.report.tables.tuning import tuning_footer, tuning_header, tuning_rows
from selfdistill.study.tuning.journal import importance
from selfdistill.study.tuning.outcome import Tuning
from selfdistill.study.tuning.search import Search
from selfdistill.study.tuning.space import Dimension
from selfdistill.study.tuning.trial import Trial

WIDTH, HEIGHT = 240, 170  # pixels


@dataclass(frozen=True)
class SlicePoint:
    """A trial in a slice."""

    trial: Trial
    x: float
    y: float
    kind: str  # "best", "whole" or "stopped"


@dataclass(frozen=True)
class Slice:
    """Scores over one dimension, and its importance from 0 to 1; None where it is unknown."""

    name: str
    importance: float | None
    x: Axis
    y: Axis
    ticks: Sequence[tuple[float, str]]  # pixels and text
    points: Sequence[SlicePoint]
    log: bool
    width: int = WIDTH
    height: int = HEIGHT


def tuning_page(tuning: Tuning) -> str:
    """Render the page of a tuning; deterministic."""
    return (
        template_environment()
        .get_template("tuning.html")
        .render(
            tuning=tuning,
            header=tuning_header(tuning),
            rows=tuning_rows(tuning),
            footer=tuning_footer(tuning),
            slices={search.space.text: slices(search) for search in tuning.searches},
            style=Markup(asset("page.css")),
            policy=policy(""),
            version=__version__,
        )
    )


def slices(search: Search) -> list[Slice]:
    """Lay out a slice for each dimension, the most important first; none if every trial failed."""
    shown = [each for each in search.trials if each.scores]
    if not shown:
        return []
    shares = importance(search.space, search.trials)
    found = [_slice(search, shown, each, shares.get(each.name)) for each in search.space.dimensions]
    return sorted(found, key=lambda each: -(each.importance or 0.0))


def _slice(search: Search, shown: Sequence[Trial], dimension: Dimension, share: float | None) -> Slice:
    values = {each.number: _position(dimension, each.values[dimension.name]) for each in shown}
    low, high = (_position(dimension, each) for each in dimension.range[:2])
    x = Axis.over([low, high, *values.values()], 38, WIDTH - 10)
    y = Axis.over([each.score for each in shown], HEIGHT - 26, 8)
    points = [SlicePoint(each, x.at(values[each.number]), y.at(each.score), _kind(search, each)) for each in shown]
    return Slice(dimension.name, share, x, y, _ticks(dimension, x), points, dimension.range.log)


def _position(dimension: Dimension, value: float) -> float:
    """Return a value's place on the axis; 0, a default outside of a logarithmic range, is at its lower end."""
    return log10(value if value > 0 else dimension.range.low) if dimension.range.log else value


def _ticks(dimension: Dimension, x: Axis) -> list[tuple[float, str]]:
    """Return both ends of the range and its middle, as pixels and text."""
    low, high, log = dimension.range
    middle = (low * high) ** 0.5 if log else (low + high) / 2
    return [(x.at(_position(dimension, each)), f"{each:.2g}") for each in (low, middle, high)]


def _kind(search: Search, trial: Trial) -> str:
    if search.best is not None and trial.number == search.best.number:
        return "best"
    return "whole" if trial.epochs == search.epochs else "stopped"
