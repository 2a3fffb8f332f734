"""Confusion matrix and the most frequent confusions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.metrics.inputs import checked_pair
from selfdistill.metrics.prediction import predicted_class
from selfdistill.plots.style import FADE, INK, PAGE, colorbar, panel_grid, set_title, styled

WRITTEN = 12  # maximum number of classes for which counts are printed


class Mistake(NamedTuple):
    """A true class, the class predicted instead, and the number of such images."""

    true: int
    predicted: int
    images: int


def confusion(logits: Tensor, labels: Tensor) -> np.ndarray:
    """Count images by true class (row) and predicted class (column). [N, C], [N] -> [C, C]."""
    logits, labels = checked_pair(logits, labels)
    classes = logits.shape[1]
    pairs = labels * classes + predicted_class(logits)
    return np.bincount(pairs.numpy(), minlength=classes**2).reshape(classes, classes)


def mistakes(counts: np.ndarray, most: int = 10) -> list[Mistake]:
    """List the most frequent confusions, ties in matrix order. [C, C]."""
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = np.column_stack(np.unravel_index(order, wrong.shape)).tolist()
    return [
        Mistake(true, predicted, int(wrong[true, predicted])) for true, predicted in cells if wrong[true, predicted]
    ]


@styled
def draw_confusion(counts: Mapping[str, np.ndarray], classes: Sequence[str], *, width: int = PAGE) -> Figure:
    """Draw a matrix per method: colors are shares of a class's images; counts are printed for few classes."""
    figure, axes = panel_grid(len(counts), width, 356, least=300)
    for each, (name, matrix) in zip(axes, counts.items(), strict=True):
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        shown = each.imshow(shares, cmap=FADE, norm=PowerNorm(0.5, 0, 1), interpolation="none")
        set_title(each, name)
        each.set(xlabel="predicted", ylabel="class")
        _label(each, classes)
        if len(matrix) <= WRITTEN:
            _write(each, matrix, shares)
    colorbar(figure, shown, axes, "share of the class").set_ticks([0, 0.1, 0.25, 0.5, 1])
    return figure


def _label(axes: Axes, classes: Sequence[str]) -> None:
    """Label the axes with class names, or with some class numbers if there are more than 20 classes."""
    axes.spines[:].set(visible=True, alpha=0.3)
    if len(classes) > 20:
        return
    places = range(len(classes))
    long = max(len(name) for name in classes) > 2
    axes.set_xticks(places, classes, rotation=90 if long else 0)
    axes.set_yticks(places, classes)


def _write(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    """Print the count of each non-empty cell, in white on dark cells."""
    for true, predicted in zip(*counts.nonzero(), strict=True):
        ink = "white" if shares[true, predicted] > 0.4 else INK
        axes.text(predicted, true, str(counts[true, predicted]), ha="center", va="center", color=ink, fontsize=11)
