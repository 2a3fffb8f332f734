import numpy as np
import pytest
import torch

from selfdistill.plots import PHONE, draw_recalls, recalls, svg

LOGITS = torch.eye(3)[[0, 0, 1, 2, 2, 1]]
LABELS = torch.tensor([0, 0, 0, 2, 2, 2])


def test_recall_is_the_share_of_a_classs_images():
    found = recalls(LOGITS, LABELS)
    assert found.images.tolist() == [3, 0, 3]
    assert found.recall[[0, 2]] == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan(found.recall[1])


def drawn(classes, methods=2, width=720):
    labels = torch.arange(classes).repeat_interleave(4)
    wrong = (torch.arange(4 * classes) % 4) < (labels % 4)  # a class k has a recall of 1 - (k mod 4) / 4
    logits = torch.eye(classes)[torch.where(wrong, (labels + 1) % classes, labels)]
    names = [f"class number {k} of a long name" for k in range(classes)]
    return draw_recalls({f"method {k}": recalls(logits, labels) for k in range(methods)}, names, width=width)


def test_classes_are_sorted_from_the_lowest_recall():
    (axes,) = drawn(4).axes
    assert [line.get_xdata().tolist() for line in axes.lines] == [[25, 50, 75, 100]] * 2
    assert [each.get_text() for each in axes.get_yticklabels()] == [
        f"class number {k} of a lon… (4)" for k in (3, 2, 1, 0)
    ]
    assert len({line.get_marker() for line in axes.lines}) == 2


def test_of_many_classes_the_lowest_are_drawn():
    (axes,) = drawn(40).axes
    assert axes.get_title(loc="left") == "the 30 of 40 classes with the lowest recall"
    assert axes.lines[0].get_xdata().tolist() == [25.0] * 10 + [50.0] * 10 + [75.0] * 10


@pytest.mark.parametrize("width", [720, PHONE])
def test_the_drawing_is_an_svg_of_its_width(width):
    figure = drawn(6, width=width)
    assert figure.bbox.width == width
    assert "recall in percent" in svg(figure, "recall", "Recall by class")
