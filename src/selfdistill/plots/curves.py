"""Learning curves: every loss term and the accuracy by epoch, a line over the seeds and a band around it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from selfdistill.errors import UserError
from selfdistill.plots.style import PAGE, color, dash, drawing, flowing, legend, titled

Row = Mapping[str, Any]  # of log.jsonl
Band = Literal["range", "std"]
PERCENT = {"train_top1": "top-1 in training, %", "validation_top1": "top-1 in validation, %"}


class Curve(NamedTuple):
    """A value by epoch over several seeds. [E] each."""

    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray  # where the band begins: the smallest, or the mean less the deviation
    high: np.ndarray
    seeds: int


def curves(logs: Mapping[str, Sequence[Sequence[Row]]], band: Band = "range") -> dict[str, dict[str, Curve]]:
    """Gather the logs of several seeds by method into curves by panel and method.

    `logs` holds, by method and for each seed, the rows of a run's log.jsonl. A panel is a loss by its name, as
    "loss of task", or an accuracy. The `band` is from least to greatest, or a sample standard deviation to either
    side. Epochs that not all seeds of a method have reached are left out. Raises `UserError` where there is none.
    """
    found: dict[str, dict[str, Curve]] = {}
    for method, seeds in logs.items():
        for panel in _panels(seeds):
            table = [
                {row["epoch"]: value for row in rows if (value := _value(row, panel)) is not None} for rows in seeds
            ]
            if all(table):
                found.setdefault(panel, {})[method] = _curve(table, band)
    if not found:
        raise UserError("these logs hold no epoch to draw; wait until each run has finished one")
    return found


@drawing
def draw_curves(found: Mapping[str, Mapping[str, Curve]], *, width: int = PAGE) -> Figure:
    """A panel for each loss and accuracy, a line for each method; the band where there are several seeds."""
    names = list(dict.fromkeys(method for panel in found.values() for method in panel))
    figure, axes = flowing(len(found), width, 175)
    for each, (panel, lines) in zip(axes, found.items(), strict=True):
        for method, curve in lines.items():
            _line(each, curve, names.index(method))
        titled(each, panel)
        each.set(xlabel="epoch")
        each.grid(axis="y")
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = {line.get_label(): line for each in axes for line in each.get_lines()}
    legend(figure, names, [handles[f"line {k}"] for k in range(len(names))])
    return figure


def _panels(seeds: Sequence[Sequence[Row]]) -> list[str]:
    """The accuracies first, then the losses as the log has them."""
    rows = [row for rows in seeds for row in rows]
    accuracies = [text for key, text in PERCENT.items() if any(key in row for row in rows)]
    return accuracies + list(dict.fromkeys(f"loss of {name}" for row in rows for name in row["losses"]))


def _value(row: Row, panel: str) -> float | None:
    for key, text in PERCENT.items():
        if panel == text:
            return row.get(key)
    return row["losses"].get(panel.removeprefix("loss of "))


def _curve(table: Sequence[Mapping[int, float]], band: Band) -> Curve:
    """The curve of the epochs that all seeds have."""
    epochs = sorted(set.intersection(*map(set, table)))
    values = np.array([[seed[epoch] for epoch in epochs] for seed in table])  # [S, E]
    mean = values.mean(axis=0)
    if band == "range" or len(values) == 1:
        return Curve(np.array(epochs), mean, values.min(axis=0), values.max(axis=0), len(values))
    deviation = values.std(axis=0, ddof=1)
    return Curve(np.array(epochs), mean, mean - deviation, mean + deviation, len(values))


def _line(axes: Axes, curve: Curve, number: int) -> None:
    point = "o" if len(curve.epochs) == 1 else None
    look = {"color": color(number), "linestyle": dash(number), "marker": point, "markersize": 4}
    axes.plot(curve.epochs, curve.mean, label=f"line {number}", **look)
    if curve.seeds > 1:
        axes.fill_between(curve.epochs, curve.low, curve.high, color=color(number), alpha=0.2, linewidth=0)
