"""Confusion matrix: what a network takes each class for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.plots.style import FADE, INK, PAGE, drawing, flowing, scale, titled

WRITTEN = 12  # classes up to which each cell's number is written


class Mistake(NamedTuple):
    """A class, what it is taken for, and how many images are."""

    true: int
    said: int
    images: int


def confusion(logits: Tensor, labels: Tensor) -> np.ndarray:
    """How many images of each class (row) are taken for each class (column). [N, C], [N] -> [C, C]."""
    classes = logits.shape[1]
    pairs = labels * classes + logits.argmax(dim=1)
    return np.bincount(pairs.numpy(), minlength=classes**2).reshape(classes, classes)


def mistakes(counts: np.ndarray, most: int = 10) -> list[Mistake]:
    """The most frequent mistakes, those first that come first in the matrix. [C, C]."""
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = np.column_stack(np.unravel_index(order, wrong.shape)).tolist()
    return [Mistake(true, said, int(wrong[true, said])) for true, said in cells if wrong[true, said]]


@drawing
def draw_confusion(counts: Mapping[str, np.ndarray], classes: Sequence[str], *, width: int = PAGE) -> Figure:
    """A matrix for each method: colours are shares of a class's images, numbers counts where there are few classes."""
    figure, axes = flowing(len(counts), width, 356, least=300)
    for each, (name, matrix) in zip(axes, counts.items(), strict=True):
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        shown = each.imshow(shares, cmap=FADE, norm=PowerNorm(0.5, 0, 1), interpolation="none")
        titled(each, name)
        each.set(xlabel="taken for", ylabel="class")
        _label(each, classes)
        if len(matrix) <= WRITTEN:
            _write(each, matrix, shares)
    scale(figure, shown, axes, "share of the class").set_ticks([0, 0.1, 0.25, 0.5, 1])
    return figure


def _label(axes: Axes, classes: Sequence[str]) -> None:
    """Name the classes where there is room, else number some of them."""
    axes.spines[:].set(visible=True, alpha=0.3)
    if len(classes) > 20:
        return
    places = range(len(classes))
    long = max(len(name) for name in classes) > 2
    axes.set_xticks(places, classes, rotation=90 if long else 0)
    axes.set_yticks(places, classes)


def _write(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    """The number of each cell that is not empty, white where the cell is dark on any page."""
    for true, said in zip(*counts.nonzero(), strict=True):
        ink = "white" if shares[true, said] > 0.4 else INK
        axes.text(said, true, str(counts[true, said]), ha="center", va="center", color=ink, fontsize=11)
