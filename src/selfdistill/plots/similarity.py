"""Cosine similarity of attention maps between images by stage, sorted by class."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.functional import attention, cosine_similarity
from selfdistill.plots.style import FADE, INK, PAGE, colorbar, panels, set_title, styled, wrap_text

LINE, SPACE = 11, 40  # pixels: line height of a class name, and a panel's margins


class Similarities(NamedTuple):
    """Similarity matrix of every stage, with rows and columns sorted by class."""

    by_stage: dict[str, np.ndarray]  # [N, N] each
    labels: np.ndarray  # [N] in the order of the rows

    def contrast(self, stage: str) -> float:
        """Mean similarity within classes minus mean similarity between classes."""
        same = self.labels[:, None] == self.labels
        others = same & ~np.eye(len(same), dtype=bool)
        matrix = self.by_stage[stage]
        if not others.any() or same.all():
            return float("nan")
        return float(matrix[others].mean() - matrix[~same].mean())


def similarities(features: Mapping[str, Tensor], labels: Tensor) -> Similarities:
    """Compute the cosine similarity of attention maps. Maps [N, D, H, W] or tokens [N, M, D] by stage, labels [N]."""
    order = labels.argsort(stable=True)
    matrices = {name: cosine_similarity(attention(each[order].double())).numpy() for name, each in features.items()}
    return Similarities(matrices, labels[order].numpy())


@styled
def draw_similarities(found: Mapping[str, Similarities], classes: Sequence[str], *, width: int = PAGE) -> Figure:
    """Draw one row per method and one column per stage, titled with the contrast between classes."""
    columns = max(len(each.by_stage) for each in found.values())
    figure, axes = panels(len(found), columns, width, (width - 50) / columns + 50)
    least = min(matrix.min() for each in found.values() for matrix in each.by_stage.values())
    for row, (method, each) in zip(axes, found.items(), strict=True):
        for place, (stage, matrix) in zip(row, each.by_stage.items(), strict=False):
            shown = place.imshow(matrix, cmap=FADE, vmin=least, vmax=1, interpolation="none")
            set_title(place, stage, _signed(each.contrast(stage)))
            _draw_class_borders(place, each.labels)
        for spare in row[len(each.by_stage) :]:
            spare.remove()
        _label_classes(row[0], each.labels, classes, most=int((width / columns - SPACE) // LINE))
        row[0].set_ylabel(wrap_text(method, width / columns))
    colorbar(figure, shown, figure.axes, "cosine similarity of attention")
    return figure


def _signed(contrast: float) -> str:
    return "" if np.isnan(contrast) else f"{contrast:+.2f}"


def _draw_class_borders(axes: Axes, labels: np.ndarray) -> None:
    """Draw a line between classes."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, alpha=0.3)
    for edge in np.flatnonzero(np.diff(labels)) + 0.5:
        axes.axhline(edge, color=INK, linewidth=0.5, alpha=0.3)
        axes.axvline(edge, color=INK, linewidth=0.5, alpha=0.3)


def _label_classes(axes: Axes, labels: np.ndarray, classes: Sequence[str], most: int) -> None:
    """Label the rows with class names if there are at most `most` classes."""
    present, starts, counts = np.unique(labels, return_index=True, return_counts=True)
    if len(present) <= most:
        axes.set_yticks(starts + (counts - 1) / 2, [classes[label] for label in present])
        axes.tick_params(length=0)
