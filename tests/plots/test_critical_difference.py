"""The critical-difference diagram: every method at its rank, and a bar for each group."""

import pytest

from selfdistill.plots import PAGE, PHONE
from selfdistill.plots.critical_difference import draw_critical_difference

RANKS = {"drg()": 1.2, "csd()": 1.9, "ce()": 2.9}


@pytest.mark.parametrize("width", [PAGE, PHONE])
def test_names_bars_and_the_difference(width):
    figure = draw_critical_difference(RANKS, 1.1, [("drg()", "csd()"), ("csd()", "ce()")], width=width)
    axes = figure.axes[0]
    words = [each.get_text() for each in axes.texts]
    assert words == ["critical difference 1.10", "drg()  1.20", "csd()  1.90", "ce()  2.90"]
    difference, first, second, *lines = axes.get_lines()
    assert list(difference.get_xdata()) == [1, 2.1]
    assert [list(each.get_xdata()) for each in (first, second)] == [
        pytest.approx([1.15, 1.95]),
        pytest.approx([1.85, 2.95]),
    ]
    assert [each.get_xdata()[0] for each in lines] == list(RANKS.values())
