"""How alike images are in where they are attended, stage by stage: cosines of attention, sorted by class."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.functional import attention, similarity
from selfdistill.plots.style import FADE, INK, PAGE, drawing, folded, panels, scale, titled

LINE, SPACE = 11, 40  # pixels that a class's name takes, and those of a panel without matrix


class Similarities(NamedTuple):
    """The similarity matrix of every stage, its rows and columns class after class."""

    by_stage: dict[str, np.ndarray]  # [N, N] each
    labels: np.ndarray  # [N] in their order

    def contrast(self, stage: str) -> float:
        """How much more alike two images of a class are than two of different ones, on average."""
        same = self.labels[:, None] == self.labels
        others = same & ~np.eye(len(same), dtype=bool)
        matrix = self.by_stage[stage]
        if not others.any() or same.all():
            return float("nan")
        return float(matrix[others].mean() - matrix[~same].mean())


def similarities(features: Mapping[str, Tensor], labels: Tensor) -> Similarities:
    """Compare where images are attended. Maps [N, D, H, W] or tokens [N, M, D] by stage, labels [N]."""
    order = labels.argsort(stable=True)
    matrices = {name: similarity(attention(each[order].double())).numpy() for name, each in features.items()}
    return Similarities(matrices, labels[order].numpy())


@drawing
def draw_similarities(found: Mapping[str, Similarities], classes: Sequence[str], *, width: int = PAGE) -> Figure:
    """A row for each method, a column for each stage; above each matrix the contrast between classes."""
    columns = max(len(each.by_stage) for each in found.values())
    figure, axes = panels(len(found), columns, width, (width - 50) / columns + 50)
    least = min(matrix.min() for each in found.values() for matrix in each.by_stage.values())
    for row, (method, each) in zip(axes, found.items(), strict=True):
        for place, (stage, matrix) in zip(row, each.by_stage.items(), strict=False):
            shown = place.imshow(matrix, cmap=FADE, vmin=least, vmax=1, interpolation="none")
            titled(place, stage, _signed(each.contrast(stage)))
            _bound(place, each.labels)
        for spare in row[len(each.by_stage) :]:
            spare.remove()
        _name(row[0], each.labels, classes, most=int((width / columns - SPACE) // LINE))
        row[0].set_ylabel(folded(method, width / columns))
    scale(figure, shown, figure.axes, "cosine of attention")
    return figure


def _signed(contrast: float) -> str:
    return "" if np.isnan(contrast) else f"{contrast:+.2f}"


def _bound(axes: Axes, labels: np.ndarray) -> None:
    """A line between each class and the next."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, alpha=0.3)
    for edge in np.flatnonzero(np.diff(labels)) + 0.5:
        axes.axhline(edge, color=INK, linewidth=0.5, alpha=0.3)
        axes.axvline(edge, color=INK, linewidth=0.5, alpha=0.3)


def _name(axes: Axes, labels: np.ndarray, classes: Sequence[str], most: int) -> None:
    """The classes' names, where there is room for them."""
    present, starts, counts = np.unique(labels, return_index=True, return_counts=True)
    if len(present) <= most:
        axes.set_yticks(starts + (counts - 1) / 2, [classes[label] for label in present])
        axes.tick_params(length=0)
