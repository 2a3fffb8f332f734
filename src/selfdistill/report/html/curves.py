"""Learning curves: a panel a method, the mean over seeds in the band from the lowest to the highest."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from selfdistill.report.html.axis import Axis
from selfdistill.report.runs import Run, curve, watched

WIDTH, HEIGHT = 240, 150
NAMES = {"validation_top1": "accuracy on the held-out images", "train_top1": "accuracy in training"}
Band = list[tuple[int, float, float, float]]  # epoch, lowest, mean, highest


@dataclass(frozen=True)
class Panel:
    """One method's curve, and the baseline's to compare."""

    method: str
    mean: str  # the points of a line, as SVG has them
    band: str  # the points around an area
    baseline: str
    last: float  # the mean after the last epoch, percent


@dataclass(frozen=True)
class Curves:
    """Panels on the same axes."""

    of: str
    x: Axis
    y: Axis
    panels: list[Panel]
    width: int = WIDTH
    height: int = HEIGHT


def curves(runs: dict[str, list[Run]], baseline: str) -> Curves | None:
    """Draw what the runs' logs hold; None where they hold less than two epochs."""
    name = watched(runs)
    bands = {method: band([curve(run, name) for run in each]) for method, each in runs.items()}
    bands = {method: each for method, each in bands.items() if len(each) > 1}
    if not bands:
        return None
    x = Axis.over([row[0] for each in bands.values() for row in each], 34, WIDTH - 8, margin=0)
    y = Axis.over([end for each in bands.values() for row in each for end in row[1:]], HEIGHT - 24, 8)
    return Curves(
        NAMES[name], x, y, [_panel(method, each, bands.get(baseline, []), x, y) for method, each in bands.items()]
    )


def band(lines: Sequence[Sequence[tuple[int, float]]]) -> Band:
    """Lowest, mean and highest value at each epoch that all lines reach."""
    if not lines:
        return []
    values = [dict(line) for line in lines]
    shared = sorted(set.intersection(*(set(each) for each in values)))
    return [(epoch, min(at), fmean(at), max(at)) for epoch in shared for at in [[each[epoch] for each in values]]]


def spark(run: Run, name: str, y: Axis, width: float = 88) -> str:
    """A run's curve as the points of a small line; empty where there is less than two epochs."""
    line = curve(run, name)
    if len(line) < 2:
        return ""
    x = Axis(line[0][0], line[-1][0], 2, width - 2)
    return _points([(x.at(epoch), y.at(value)) for epoch, value in line])


def _panel(method: str, rows: Band, baseline: Band, x: Axis, y: Axis) -> Panel:
    upper = [(x.at(row[0]), y.at(row[3])) for row in rows]
    lower = [(x.at(row[0]), y.at(row[1])) for row in reversed(rows)]
    mean = [(x.at(row[0]), y.at(row[2])) for row in rows]
    other = [(x.at(row[0]), y.at(row[2])) for row in baseline]
    return Panel(method, _points(mean), _points(upper + lower), _points(other), rows[-1][2])


def _points(pairs: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in pairs)
