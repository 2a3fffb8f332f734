"""Learning curves: loss terms and accuracy by epoch, as a mean over seeds with a band."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from selfdistill.errors import UserError
from selfdistill.plots.style import PAGE, color, dash, legend, panel_grid, set_title, styled
from selfdistill.records import AnyEpoch, number
from selfdistill.task import TASKS

Band = Literal["range", "std"]
PERCENT = {
    key: f"{title} in {part}, %"
    for task in TASKS.values()
    for key, title, part in (
        (task.training, task.training_title, "training"),
        (task.validation, task.title, "validation"),
    )
}


class Curve(NamedTuple):
    """A quantity by epoch over several seeds. [E] each."""

    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray  # lower end of the band: the minimum, or the mean minus the deviation
    high: np.ndarray
    seeds: int


def curves(logs: Mapping[str, Sequence[Sequence[AnyEpoch]]], band: Band = "range") -> dict[str, dict[str, Curve]]:
    """Aggregate logs over seeds into curves by panel and method.

    `logs` holds the rows of log.jsonl by method and seed. A panel is a loss, such as "loss of task", or an accuracy.
    The `band` is the range, or one sample standard deviation to either side. Epochs that some seed of a method has
    not reached are skipped. Raises `UserError` if no epoch is left.
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


@styled
def draw_curves(found: Mapping[str, Mapping[str, Curve]], *, width: int = PAGE) -> Figure:
    """Draw a panel per loss and accuracy with a line per method, and a band if there are several seeds."""
    names = list(dict.fromkeys(method for panel in found.values() for method in panel))
    figure, axes = panel_grid(len(found), width, 175)
    for each, (panel, lines) in zip(axes, found.items(), strict=True):
        for method, curve in lines.items():
            _line(each, curve, names.index(method))
        set_title(each, panel)
        each.set(xlabel="epoch")
        each.grid(axis="y")
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = {line.get_label(): line for each in axes for line in each.get_lines()}
    legend(figure, names, [handles[f"line {k}"] for k in range(len(names))])
    return figure


def _panels(seeds: Sequence[Sequence[AnyEpoch]]) -> list[str]:
    """List the panels: accuracies, then losses in the order of the log."""
    rows = [row for rows in seeds for row in rows]
    accuracies = [text for key, text in PERCENT.items() if any(key in row for row in rows)]
    return accuracies + list(dict.fromkeys(f"loss of {name}" for row in rows for name in row["losses"]))


def _value(row: AnyEpoch, panel: str) -> float | None:
    for key, name in PERCENT.items():
        if panel == name:
            return number(row, key) if key in row else None
    return row["losses"].get(panel.removeprefix("loss of "))


def _curve(table: Sequence[Mapping[int, float]], band: Band) -> Curve:
    """Aggregate the epochs that all seeds have."""
    epochs = sorted(set.intersection(*map(set, table)))
    values = np.array([[seed[epoch] for epoch in epochs] for seed in table])  # [S, E]
    mean = values.mean(axis=0)
    if band == "range" or len(values) == 1:
        return Curve(np.array(epochs), mean, values.min(axis=0), values.max(axis=0), len(values))
    deviation = values.std(axis=0, ddof=1)
    return Curve(np.array(epochs), mean, mean - deviation, mean + deviation, len(values))


def _line(axes: Axes, curve: Curve, number: int) -> None:
    point = "o" if len(curve.epochs) == 1 else None
    axes.plot(
        curve.epochs,
        curve.mean,
        label=f"line {number}",
        color=color(number),
        linestyle=dash(number),
        marker=point,
        markersize=4,
    )
    if curve.seeds > 1:
        axes.fill_between(curve.epochs, curve.low, curve.high, color=color(number), alpha=0.2, linewidth=0)
