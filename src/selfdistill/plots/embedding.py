"""Map of the embeddings: images as points, those near each other that the network holds for alike."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.plots.style import COLORS, PAGE, bare, color, drawing, flowing, legend, marker, titled

PERPLEXITY = 30.0  # neighbours that a point is to be near to
START, TINY = 1e-4, 1e-12  # deviation that t-SNE starts with, as scikit-learn's; what divides nothing
TOLD_APART = 10  # classes with a colour and marker of their own; the others are grey


class Map(NamedTuple):
    """Points in a plane."""

    points: np.ndarray  # [N, 2]
    told: str  # how they came there


def pca(embedding: Tensor) -> Map:
    """The two directions of greatest variance. [N, D]; raises `UserError` for fewer than 2 rows or columns."""
    points, share = _spread_most(_rows(embedding, 2))
    return Map(points, f"PCA, {100 * share:.0f} % of the variance")


def tsne(embedding: Tensor, seed: int = 0) -> Map:
    """Neighbours stay neighbours; distances between groups say little. [N, D]; the same points for the same rows.

    Van der Maaten and Hinton, 2008 (https://jmlr.org/papers/v9/vandermaaten08a.html), started from PCA. Raises
    `UserError` for fewer than 4 rows or 2 columns.
    """
    rows = _rows(embedding, 4)
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    start, _ = _spread_most(rows)
    start *= START / max(start[:, 0].std(), TINY)
    with threadpool_limits(1):  # threads add up in an order of their own
        points = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(rows)
    return Map(points, f"t-SNE, perplexity {perplexity:.0f}")


@drawing
def draw_embedding(maps: Mapping[str, Map], labels: Tensor, classes: Sequence[str], *, width: int = PAGE) -> Figure:
    """A panel for each map. Ten classes, evenly chosen, have a colour and marker of their own; others are grey."""
    told = np.linspace(0, len(classes) - 1, min(len(classes), TOLD_APART)).round().astype(int).tolist()
    figure, axes = flowing(len(maps), width, 250)
    for each, (name, found) in zip(axes, maps.items(), strict=True):
        _points(each, found.points, labels.numpy(), told)
        titled(each, name, found.told)
    names = [classes[label] for label in told]
    legend(figure, names, axes[0].get_lines()[-len(told) :], handlelength=0.8)
    return figure


def _rows(embedding: Tensor, least: int) -> np.ndarray:
    if len(embedding) < least or embedding.shape[1] < 2:
        raise UserError(
            f"a map needs {least} images and 2 features at least, but has {len(embedding)} and {embedding.shape[1]}; "
            "show more images, or tap a wider layer"
        )
    return embedding.double().numpy()


def _spread_most(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """The plane of greatest variance, its largest weights positive. [N, D] -> [N, 2], its share of the variance."""
    centered = rows - rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    plane = directions[:2]
    plane *= np.sign(plane[range(2), np.abs(plane).argmax(axis=1)])[:, None]  # of two signs always the same one
    return centered @ plane.T, (sizes[:2] ** 2).sum() / max((sizes**2).sum(), TINY)


def _points(axes: Axes, points: np.ndarray, labels: np.ndarray, told: Sequence[int]) -> None:
    look: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0}
    others = ~np.isin(labels, told)
    axes.plot(*points[others].T, marker=".", color=COLORS[-1], alpha=0.5, markersize=3, **look)
    for number, label in enumerate(told):
        own = labels == label
        axes.plot(*points[own].T, marker=marker(number), color=color(number), alpha=0.9, markersize=4.5, **look)
    bare(axes)
