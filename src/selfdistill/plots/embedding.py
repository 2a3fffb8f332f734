"""Embeddings of images projected to a plane by PCA or t-SNE."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.plots.style import COLORS, PAGE, color, hide_axes, legend, marker, panel_grid, set_title, styled

PERPLEXITY = 30.0  # effective number of neighbors in t-SNE
START, TINY = 1e-4, 1e-12  # initial standard deviation of t-SNE, as in scikit-learn; guard against division by zero
COLORED = 10  # classes with their own color and marker; the others are gray


class Projection(NamedTuple):
    """Points in a plane."""

    points: np.ndarray  # [N, 2]
    description: str  # of the projection


def pca(embedding: Tensor) -> Projection:
    """Project onto the two directions of greatest variance. [N, D].

    Raises `UserError` for fewer than 2 rows or columns.
    """
    points, share = _project_to_plane(_rows(embedding, 2))
    return Projection(points, f"PCA, {100 * share:.0f} % of the variance")


def tsne(embedding: Tensor, seed: int = 0) -> Projection:
    """Project with t-SNE, which preserves neighborhoods but not distances. [N, D]; deterministic.

    Van der Maaten and Hinton, 2008 (https://jmlr.org/papers/v9/vandermaaten08a.html), started from PCA. Raises
    `UserError` for fewer than 4 rows or 2 columns.
    """
    rows = _rows(embedding, 4)
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    start, _ = _project_to_plane(rows)
    start *= START / max(start[:, 0].std(), TINY)
    with threadpool_limits(1):  # with several threads the order of summation, and so the result, varies
        points = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(rows)
    return Projection(points, f"t-SNE, perplexity {perplexity:.0f}")


@styled
def draw_embedding(
    maps: Mapping[str, Projection], labels: Tensor, classes: Sequence[str], *, width: int = PAGE
) -> Figure:
    """Draw a panel per projection. Ten evenly chosen classes have their own color and marker; others are gray."""
    colored = np.linspace(0, len(classes) - 1, min(len(classes), COLORED)).round().astype(int).tolist()
    figure, axes = panel_grid(len(maps), width, 250)
    for each, (name, found) in zip(axes, maps.items(), strict=True):
        _points(each, found.points, labels.numpy(), colored)
        set_title(each, name, found.description)
    names = [classes[label] for label in colored]
    legend(figure, names, axes[0].get_lines()[-len(colored) :], handlelength=0.8)
    return figure


def _rows(embedding: Tensor, least: int) -> np.ndarray:
    if len(embedding) < least or embedding.shape[1] < 2:
        raise UserError(
            f"a projection needs at least {least} images and 2 features, but got {len(embedding)} and "
            f"{embedding.shape[1]}; use more images, or tap a wider layer"
        )
    return embedding.double().numpy()


def _project_to_plane(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Project onto the plane of greatest variance. [N, D] -> [N, 2] and the plane's share of the variance."""
    centered = rows - rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    plane = directions[:2]
    plane *= np.sign(plane[range(2), np.abs(plane).argmax(axis=1)])[
        :, None
    ]  # fix the sign: the largest weight is positive
    return centered @ plane.T, (sizes[:2] ** 2).sum() / max((sizes**2).sum(), TINY)


def _points(axes: Axes, points: np.ndarray, labels: np.ndarray, colored: Sequence[int]) -> None:
    others = ~np.isin(labels, colored)
    axes.plot(
        *points[others].T, marker=".", color=COLORS[-1], alpha=0.5, markersize=3, linestyle="none", markeredgewidth=0
    )
    for number, label in enumerate(colored):
        own = labels == label
        axes.plot(
            *points[own].T,
            marker=marker(number),
            color=color(number),
            alpha=0.9,
            markersize=4.5,
            linestyle="none",
            markeredgewidth=0,
        )
    hide_axes(axes)
