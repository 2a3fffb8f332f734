"""Learning curves: a panel per method with the mean over runs and a band from minimum to maximum."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from selfdistill.report.html.axis import Axis
from selfdistill.report.runs import Run, logged_score, score_curve
from selfdistill.task import Task

WIDTH, HEIGHT = 240, 150
Band = list[tuple[int, float, float, float]]  # epoch, minimum, mean, maximum


@dataclass(frozen=True)
class Panel:
    """Curve of one method, and of the baseline for comparison."""

    method: str
    mean: str  # points of an SVG polyline
    band: str  # points of an SVG polygon
    baseline: str
    last: float  # mean after the last epoch, percent


@dataclass(frozen=True)
class Curves:
    """Panels with shared axes."""

    quantity: str
    x: Axis
    y: Axis
    panels: list[Panel]
    width: int = WIDTH
    height: int = HEIGHT


def curves(runs: dict[str, list[Run]], baseline: str, task: Task) -> Curves | None:
    """Compute the learning curves of all methods; None for logs of less than two epochs."""
    name = logged_score(runs, task)
    quantity = f"Validation {task.title}" if name == task.validation else f"Training {task.training_title}"
    bands = {method: band([score_curve(run, name) for run in each]) for method, each in runs.items()}
    bands = {method: each for method, each in bands.items() if len(each) > 1}
    if not bands:
        return None
    x = Axis.over([row[0] for each in bands.values() for row in each], 34, WIDTH - 8, margin=0)
    y = Axis.over([end for each in bands.values() for row in each for end in row[1:]], HEIGHT - 24, 8)
    return Curves(
        quantity, x, y, [_panel(method, each, bands.get(baseline, []), x, y) for method, each in bands.items()]
    )


def band(lines: Sequence[Sequence[tuple[int, float]]]) -> Band:
    """Compute minimum, mean and maximum at each epoch that all lines reach."""
    if not lines:
        return []
    values = [dict(line) for line in lines]
    shared = sorted(set.intersection(*(set(each) for each in values)))
    return [(epoch, min(at), fmean(at), max(at)) for epoch in shared for at in [[each[epoch] for each in values]]]


def sparkline(run: Run, name: str, y: Axis, width: float = 88) -> str:
    """Return the points of a run's sparkline; empty for less than two epochs."""
    line = score_curve(run, name)
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
