"""Confusions against scikit-learn's count."""

import numpy as np
import torch
from sklearn.metrics import confusion_matrix

from selfdistill.plots.confusion import Mistake, confusion, draw_confusion, mistakes
from selfdistill.plots.svg import svg
from tests.helpers.figures import predictions


def test_counts_are_scikit_learns():
    logits, labels = predictions(100)
    np.testing.assert_array_equal(confusion(logits, labels), confusion_matrix(labels, logits.argmax(dim=1)))


def test_a_class_without_image_has_its_row():
    counts = confusion(torch.eye(3)[:2], torch.tensor([0, 0]))
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert "<image" in svg(draw_confusion({"ce()": counts}, "abc"), "a")


def test_mistakes_by_number():
    counts = np.array([[9, 2, 0], [5, 9, 0], [0, 2, 9]])
    assert mistakes(counts) == [Mistake(1, 0, 5), Mistake(0, 1, 2), Mistake(2, 1, 2)]
    assert mistakes(counts, most=1) == [Mistake(1, 0, 5)]


def test_few_classes_are_named_and_numbered():
    counts = np.array([[7, 0], [3, 11]])
    figure = draw_confusion({"ce()": counts}, ["cat", "dog"])
    assert {each.get_text() for each in figure.axes[0].texts} == {"7", "3", "11"}
    assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == ["cat", "dog"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[1, 0], [3 / 14, 11 / 14]])


def test_many_classes_have_no_numbers():
    figure = draw_confusion({"ce()": np.eye(30, dtype=int)}, [str(k) for k in range(30)])
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_yticklabels()) < 12
