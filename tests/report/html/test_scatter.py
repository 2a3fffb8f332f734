"""Placement of labels in the scatter plot."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfdistill.report.html.axis import Axis
from selfdistill.report.html.scatter import scatter
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.statistics import Difference, MeanStd
from selfdistill.study.analysis.summary import Row, Summary, summary_rows
from tests.helpers.written_studies import write

SIZES = [(700, 420), (330, 360)]


def row(method, time, gap=None, reach=0.5, compute=None):
    """A row that costs so much; without a gap it has no seed in common with the baseline."""
    seen = None if gap is None else Difference(gap, gap - reach, gap + reach, 5, 1.0, 0.5)
    against = None if seen is None else Comparison(seen, 0.5, 3)
    return Row(Summary(method, MeanStd(90, 1, 5), None, None, against, None, 0, compute, time, 3), method == "ce()")


BASE = row("ce()", 1.0)


@pytest.mark.parametrize("size", SIZES)
def test_labels_do_not_overlap_labels_or_points(tmp_path, size):
    found = scatter(summary_rows(write(tmp_path)), *size)
    assert len(found.points) == 8
    for one, other in combinations(found.points, 2):
        assert not one.label.covers(other.label)
    for one in found.points:
        for other in found.points:
            box = other.label
            assert not (box.left < one.x < box.right and box.top < one.y < box.bottom)
            assert box.left >= 0
            assert box.right <= size[0]


def test_labels_are_numbers_if_names_do_not_fit():
    crowd = [BASE, *(row(f"method_{k}()", 1.1, 0.01 * k) for k in range(40))]
    found = scatter(crowd, 330, 360)
    assert found.numbered
    assert [point.name for point in found.points] == [str(k) for k in range(1, 42)]
    assert not scatter([BASE, row("drg()", 1.2, 1.0)], 330, 360).numbered


def test_positions_of_points():
    found = scatter([BASE, row("drg()", 1.5, 2.0, reach=1.0)], 700, 420)
    base, point = found.points
    assert (point.x, point.y) == (found.x.at(1.5), found.y.at(2.0))
    assert point.top < point.y < point.bottom < base.y
    assert base.x < point.x


def test_no_plot_without_a_comparison():
    assert scatter([BASE], 700, 420) is None
    assert scatter([BASE, row("drg()", 1.2)], 700, 420) is None


def test_one_seed_has_a_point_without_a_bar():
    against = Comparison(Difference(1.0, None, None, 1), None, 1)
    single = Row(Summary("drg()", MeanStd(91, None, 1), None, None, against, None, 0, None, 1.2, 3), False)
    point = scatter([BASE, single], 700, 420).points[1]
    assert point.top == point.y == point.bottom
    assert point.row.kind == "one"


def test_cost_is_compute_if_all_rows_have_it():
    counted = [row("ce()", 1.0, compute=1.0), row("drg()", 1.1, 1.0, compute=1.6)]
    found = scatter(counted, 700, 420)
    assert (found.cost, found.points[1].x) == ("compute", found.x.at(1.6))
    assert scatter([BASE, counted[1]], 700, 420).cost == "step time"


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5), st.integers(2, 8))
def test_ticks_are_few_round_and_inside(values, most):
    axis = Axis.over(values, 0, 100)
    ticks = axis.ticks(most)
    assert 1 <= len(ticks) <= most + 1
    assert all(axis.low - 1e-6 <= tick <= axis.high + 1e-6 for tick in ticks)
    assert all(-0.1 <= axis.at(value) <= 100.1 for value in values)


def test_ticks_by_hand():
    assert Axis(0, 10, 0, 100).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Axis(-0.7, 0.3, 0, 100).ticks(4) == [-0.5, -0.25, 0, 0.25]
    assert Axis(-0.7, 0.3, 0, 100).decimals() == 1
    assert Axis(0, 10, 100, 0).at(2.5) == 75
