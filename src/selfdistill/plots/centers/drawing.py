"""A plane for each method and epoch: features, where each is drawn, centers and the classifier's directions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from selfdistill.plots.centers.training import Moment
from selfdistill.plots.style import INK, PAGE, bare, color, drawing, grow, legend, marker, panels, titled

POINTS, ARROWS = 30, 8  # of each class
WIDE = 180  # pixels that a panel with room for words has
REACH = 0.16  # of the panel's side, for that length; no arrow is drawn longer than twice this
POINT: dict[str, Any] = {"linestyle": "none", "markersize": 3, "markeredgewidth": 0}
CENTER: dict[str, Any] = {"linestyle": "none", "color": INK, "marker": "+", "markersize": 9, "markeredgewidth": 1.6}
RING = CENTER | {"marker": "o", "markerfacecolor": "none", "markeredgewidth": 1.2}
ARROW: dict[str, Any] = {"color": INK, "width": 0.006, "headwidth": 4, "angles": "xy", "scale_units": "xy"}
DIRECTION: dict[str, Any] = {"linewidth": 1, "linestyle": (0, (5, 3))}


@drawing
def draw_centers(found: Mapping[str, Sequence[Moment]], *, width: int = PAGE) -> Figure:
    """A column for each method, a row for each epoch.

    Points are images, of their class's colour. Arrows show where gradient descent draws some of them, each panel to a
    scale of its own: below it stands the length that 95 % of the gradients do not reach. A cross is a class's center,
    in a ring where the method keeps it; a line from the origin is a direction of the classifier. The variance within
    classes is a share of the whole.
    """
    first = next(iter(found.values()))
    figure, axes = panels(len(first), len(found), width, width / len(found) + 20)
    for column, (method, each) in zip(axes.T, found.items(), strict=True):
        for place, moment in zip(column, each, strict=True):
            _plane(place, moment, wide=width / len(found) > WIDE)
        titled(column[0], method, column[0].get_title(loc="left"))
    for place, moment in zip(axes[:, 0], first, strict=True):
        place.set_ylabel(f"epoch {moment.epoch}")
    grow(figure, 1 + max(each.get_title(loc="left").count("\n") for each in axes[0]))
    _explain(figure, len(first[0].directions))
    return figure


def _plane(axes: Axes, moment: Moment, wide: bool) -> None:
    bare(axes)
    size = 9 if wide else 5
    axes.spines[:].set(visible=True, alpha=0.3)
    middle, reach = _frame(moment.features.numpy())
    (left, low), (right, high) = middle - reach, middle + reach
    for label, direction in enumerate(moment.directions.numpy()):
        points = moment.features[_some(moment, label, POINTS)].numpy()
        axes.plot(*points.T, color=color(label), marker=marker(label), alpha=0.6, **POINT)
        far = 4 * reach * direction / max(np.linalg.norm(direction), 1e-12)
        axes.plot([0, far[0]], [0, far[1]], color=color(label), **DIRECTION)
    usual = _arrows(axes, moment, reach)
    for look in [CENTER, RING] if moment.kept else [CENTER]:
        axes.plot(*moment.centers.numpy().T, **(look | {"markersize": size}))
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.set_title(f"{'variance ' if wide else ''}within {100 * moment.within:.1f} %")
    axes.set_xlabel(f"{'arrows ' if wide else ''}to {usual:.1g}", loc="right")


def _frame(features: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle and half the side of a square that holds all features and the origin."""
    points = np.concatenate([features, np.zeros((1, 2))])
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, 0.58 * float((high - low).max())


def _some(moment: Moment, label: int, count: int) -> np.ndarray:
    """So many images of a class, evenly chosen."""
    own = np.flatnonzero(moment.labels.numpy() == label)
    return own[np.linspace(0, len(own) - 1, min(count, len(own))).round().astype(int)]


def _arrows(axes: Axes, moment: Moment, reach: float) -> float:
    """Draw minus the gradient at some images; give the length that 95 % of all do not reach."""
    rows = np.concatenate([_some(moment, label, ARROWS) for label in range(len(moment.directions))])
    lengths = moment.arrows.norm(dim=1).numpy()
    usual = max(float(np.quantile(lengths, 0.95)), 1e-12)
    cut = np.minimum(1, 2 * usual / np.maximum(lengths, 1e-12))[:, None]
    arrows, starts = (moment.arrows.numpy() * cut)[rows], moment.features.numpy()[rows]
    axes.quiver(*starts.T, *arrows.T, scale=usual / (2 * reach * REACH), **ARROW)
    return usual


def _explain(figure: Figure, classes: int) -> None:
    """Above all panels, what marks and lines stand for."""
    points = [Line2D([], [], color=color(k), marker=marker(k), **(POINT | {"markersize": 6})) for k in range(classes)]
    marks = [Line2D([], [], **CENTER), Line2D([], [], **RING), Line2D([], [], color=INK, **DIRECTION)]
    names = [f"digit {k}" for k in range(classes)] + ["center", "kept center", "classifier"]
    legend(figure, names, points + marks, handlelength=1.6)
