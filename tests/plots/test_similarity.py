"""Similarity matrices: cosines by hand, sorted by class."""

import numpy as np
import pytest
import torch

from selfdistill.plots.similarity import draw_similarities, similarities
from tests.helpers.figures import draws

LABELS = torch.tensor([1, 0, 1, 2])


def test_cosines_of_attention_sorted_by_class():
    maps = torch.randn(4, 3, 2, 2, generator=draws())
    found = similarities({"stage1": maps}, LABELS)
    order = [1, 0, 2, 3]
    rows = maps[order].square().sum(dim=1).flatten(1).double().numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found.by_stage["stage1"], rows @ rows.T, atol=1e-6)
    assert found.labels.tolist() == [0, 1, 1, 2]


def test_contrast_by_hand():
    maps = torch.zeros(4, 1, 2, 2)
    maps[0, 0, 0, 0] = maps[2, 0, 0, 0] = maps[1, 0, 1, 1] = maps[3, 0, 1, 1] = 1.0
    found = similarities({"stage1": maps}, LABELS)
    assert found.contrast("stage1") == pytest.approx(1 - 1 / 5)  # of five pairs, one of two classes is alike
    assert np.isnan(similarities({"stage1": maps[:2]}, LABELS[:2]).contrast("stage1"))


def test_the_picture_shows_each_matrix():
    maps = {f"stage{k}": torch.randn(4, 3, 2, 2, generator=draws(k)) for k in (1, 2)}
    found = similarities(maps, LABELS)
    figure = draw_similarities({"ce()": found, "scd()": found}, ["cat", "dog", "emu"])
    shown = [each for each in figure.axes if each.images]
    assert len(shown) == 4
    np.testing.assert_array_equal(shown[1].images[0].get_array(), found.by_stage["stage2"])
    assert shown[0].get_title(loc="left") == f"stage1\n{found.contrast('stage1'):+.2f}"
    assert [each.get_text() for each in shown[0].get_yticklabels()] == ["cat", "dog", "emu"]
    assert [each.get_ylabel() for each in shown] == ["ce()", "", "scd()", ""]
