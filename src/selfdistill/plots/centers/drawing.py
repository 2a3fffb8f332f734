"""Feature planes by method and epoch: features, gradients, class centers and classifier directions."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from selfdistill.plots.centers.training import Snapshot
from selfdistill.plots.style import INK, PAGE, add_height, color, hide_axes, legend, marker, panels, set_title, styled

POINTS, ARROWS = 30, 8  # per class
WIDE = 180  # pixels from which a panel has room for words
REACH = 0.16  # arrow of the 95th percentile's length, as a share of the panel's side; arrows are cut at twice this
Style: TypeAlias = "dict[str, Any]"  # keyword arguments of matplotlib, which types them one by one
POINT: Style = {"linestyle": "none", "markersize": 3, "markeredgewidth": 0}
CENTER: Style = {"linestyle": "none", "color": INK, "marker": "+", "markersize": 9, "markeredgewidth": 1.6}
RING = CENTER | {"marker": "o", "markerfacecolor": "none", "markeredgewidth": 1.2}
ARROW: Style = {"color": INK, "width": 0.006, "headwidth": 4, "angles": "xy", "scale_units": "xy"}
DIRECTION: Style = {"linewidth": 1, "linestyle": (0, (5, 3))}


@styled
def draw_centers(found: Mapping[str, Sequence[Snapshot]], *, width: int = PAGE) -> Figure:
    """Draw one column per method and one row per epoch.

    Points are images, colored by class. Arrows show the negative gradient at some of them; each panel has its own
    scale, and its label gives the 95th percentile of the gradients' lengths. A cross is a class center, with a ring if
    the method stores it; a dashed line is a direction of the classifier. The variance within classes is relative to
    the total variance.
    """
    first = next(iter(found.values()))
    figure, axes = panels(len(first), len(found), width, width / len(found) + 20)
    for column, (method, each) in zip(axes.T, found.items(), strict=True):
        for place, snapshot in zip(column, each, strict=True):
            _plane(place, snapshot, wide=width / len(found) > WIDE)
        set_title(column[0], method, column[0].get_title(loc="left"))
    for place, snapshot in zip(axes[:, 0], first, strict=True):
        place.set_ylabel(f"epoch {snapshot.epoch}")
    add_height(figure, 1 + max(each.get_title(loc="left").count("\n") for each in axes[0]))
    _explain(figure, len(first[0].directions))
    return figure


def _plane(axes: Axes, snapshot: Snapshot, wide: bool) -> None:
    hide_axes(axes)
    size = 9 if wide else 5
    axes.spines[:].set(visible=True, alpha=0.3)
    middle, reach = _frame(snapshot.features.numpy())
    (left, low), (right, high) = middle - reach, middle + reach
    for label, direction in enumerate(snapshot.directions.numpy()):
        points = snapshot.features[_evenly_chosen(snapshot, label, POINTS)].numpy()
        axes.plot(*points.T, color=color(label), marker=marker(label), alpha=0.6, **POINT)
        far = 4 * reach * direction / max(np.linalg.norm(direction), 1e-12)
        axes.plot([0, far[0]], [0, far[1]], color=color(label), **DIRECTION)
    usual = _arrows(axes, snapshot, reach)
    for style in [CENTER, RING] if snapshot.kept else [CENTER]:
        axes.plot(*snapshot.centers.numpy().T, **(style | {"markersize": size}))
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.set_title(f"{'variance ' if wide else ''}within {100 * snapshot.within_class_variance:.1f} %")
    axes.set_xlabel(f"{'arrows ' if wide else ''}to {usual:.1g}", loc="right")


def _frame(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the center and half the side of a square that contains all features and the origin."""
    points = np.concatenate([features, np.zeros((1, 2))])
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, 0.58 * float((high - low).max())


def _evenly_chosen(snapshot: Snapshot, label: int, count: int) -> np.ndarray:
    """Choose `count` images of a class at even intervals."""
    own = np.flatnonzero(snapshot.labels.numpy() == label)
    chosen: np.ndarray = own[np.linspace(0, len(own) - 1, min(count, len(own))).round().astype(int)]
    return chosen


def _arrows(axes: Axes, snapshot: Snapshot, reach: float) -> float:
    """Draw the negative gradient at some images; return the 95th percentile of all lengths."""
    rows = np.concatenate([_evenly_chosen(snapshot, label, ARROWS) for label in range(len(snapshot.directions))])
    lengths = snapshot.arrows.norm(dim=1).numpy()
    usual = max(float(np.quantile(lengths, 0.95)), 1e-12)
    cut = np.minimum(1, 2 * usual / np.maximum(lengths, 1e-12))[:, None]
    arrows, starts = (snapshot.arrows.numpy() * cut)[rows], snapshot.features.numpy()[rows]
    axes.quiver(*starts.T, *arrows.T, scale=usual / (2 * reach * REACH), **ARROW)
    return usual


def _explain(figure: Figure, classes: int) -> None:
    """Add a legend of markers and lines above all panels."""
    points = [Line2D([], [], color=color(k), marker=marker(k), **(POINT | {"markersize": 6})) for k in range(classes)]
    marks = [Line2D([], [], **CENTER), Line2D([], [], **RING), Line2D([], [], color=INK, **DIRECTION)]
    names = [f"digit {k}" for k in range(classes)] + ["center", "kept center", "classifier"]
    legend(figure, names, points + marks, handlelength=1.6)
