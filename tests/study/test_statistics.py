"""Statistics against scipy, and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfdistill.study.statistics import Difference, Spread

VALUES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=8)


def test_spread_by_hand():
    assert Spread.of([2.0, 4.0, 9.0]) == Spread(5.0, pytest.approx(13**0.5), 3)
    assert Spread.of([7.0]) == Spread(7.0, None, 1)


@given(VALUES)
def test_interval_is_scipys(pairs):
    one, other = zip(*pairs, strict=True)
    found = Difference.paired(one, other)
    gaps = [a - b for a, b in pairs]
    if max(gaps) - min(gaps) < 1e-6:
        return
    want = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert found.low == pytest.approx(want.low, rel=1e-6, abs=1e-9)
    assert found.high == pytest.approx(want.high, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([2.0, 2.1, 1.9], "better"),
        ([-2.0, -2.1, -1.9], "worse"),
        ([1.0, -1.0, 0.5], "not distinguishable"),
        ([5.0], "one seed"),
    ],
)
def test_verdict(values, verdict):
    assert Difference.paired(values, [0.0] * len(values)).verdict == verdict
