"""Maps of embeddings: PCA against scikit-learn's, t-SNE keeping groups together."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from selfdistill.errors import UserError
from selfdistill.plots.embedding import draw_embedding, pca, tsne
from selfdistill.plots.svg import svg
from tests.helpers.figures import draws


def groups(rows=60, width=6, classes=3):
    """Three clouds far apart."""
    labels = torch.arange(rows) % classes
    centers = 20 * torch.eye(classes, width)
    return centers[labels] + torch.randn(rows, width, generator=draws()), labels


def test_pca_is_scikit_learns_but_for_the_sign():
    rows, _ = groups()
    oracle = PCA(2).fit(rows.double())
    found = pca(rows)
    np.testing.assert_allclose(np.abs(found.points), np.abs(oracle.transform(rows.double())), atol=1e-9)
    assert found.description == f"PCA, {100 * oracle.explained_variance_ratio_.sum():.0f} % of the variance"


def test_tsne_keeps_groups_together_and_comes_again():
    rows, labels = groups()
    found = tsne(rows)
    np.testing.assert_array_equal(tsne(rows).points, found.points)
    gaps = np.linalg.norm(found.points[:, None] - found.points, axis=2) + np.where(np.eye(len(rows)), np.inf, 0)
    assert (labels.numpy()[gaps.argmin(axis=1)] == labels.numpy()).all()
    assert found.description == "t-SNE, perplexity 20"


def test_equal_rows_are_no_trouble():
    assert not pca(torch.ones(5, 3)).points.any()
    assert np.isfinite(tsne(torch.ones(5, 3)).points).all()


@pytest.mark.parametrize(("make", "rows", "least"), [(pca, (1, 4), 2), (pca, (9, 1), 2), (tsne, (3, 4), 4)])
def test_too_few(make, rows, least):
    text = f"a projection needs at least {least} images and 2 features, but got {rows[0]} and {rows[1]}; use more"
    with pytest.raises(UserError, match=text):
        make(torch.zeros(rows))


def test_every_point_is_drawn_once_and_ten_classes_are_told_apart():
    rows, labels = groups(90, classes=3)
    labels = torch.arange(90) % 30
    found = pca(rows)
    figure = draw_embedding({"ce()": found}, labels, [str(k) for k in range(30)])
    lines = figure.axes[0].get_lines()
    assert sum(len(line.get_xdata()) for line in lines) == 90
    assert len(lines) == 11
    names = [each.get_text() for each in figure.legends[0].get_texts()]
    assert names == ["0", "3", "6", "10", "13", "16", "19", "23", "26", "29"]
    np.testing.assert_array_equal(lines[-1].get_xydata(), found.points[labels == 29])
    assert svg(figure, "a") == svg(draw_embedding({"ce()": found}, labels, [str(k) for k in range(30)]), "a")
