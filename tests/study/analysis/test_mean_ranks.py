"""Mean ranks: the example of Demšar (2006), plain loops, ties, and what is too little to rank."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfdistill.study.analysis.mean_ranks import MeanRanks, critical_difference, rank_studies

# Demšar, 2006, table 6: AUC of C4.5 with parameters m and cf tuned or not, on 14 data sets.
TABLE = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957],
    "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978],
    "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946],
    "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970],
}


def test_the_example_of_the_source():
    found = MeanRanks.of(TABLE)
    assert {name: round(rank, 3) for name, rank in found.ranks.items()} == {
        "C4.5+m+cf": 1.964,
        "C4.5+m": 2.0,
        "C4.5+cf": 2.893,
        "C4.5": 3.143,
    }
    assert found.studies == 14
    assert found.critical == pytest.approx(1.25, abs=0.005)
    squares = sum(rank**2 for rank in found.ranks.values())
    uncorrected = 12 * 14 / (4 * 5) * (squares - 4 * 5**2 / 4)
    assert uncorrected == pytest.approx(9.28, abs=0.01)  # as there; ties make chi² larger
    assert found.p == pytest.approx(0.01672, abs=1e-5)
    assert found.p < stats.chi2.sf(uncorrected, 3)
    assert found.groups == [("C4.5+m+cf", "C4.5")]


@pytest.mark.parametrize(
    ("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)]
)
def test_the_critical_values_of_the_source(methods, q):
    assert critical_difference(methods, 20) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 120), abs=1e-3)


@given(st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=3, max_size=6))
def test_ranks_count_those_above_and_half_of_those_beside(rows):
    found = MeanRanks.of({f"m{k}": each for k, each in enumerate(rows)})
    for k, row in enumerate(rows):
        ranks = []
        for study, score in enumerate(row):
            others = [other[study] for other in rows]
            above, beside = sum(each > score for each in others), sum(each == score for each in others)
            ranks.append(above + (beside + 1) / 2)
        assert found.ranks[f"m{k}"] == pytest.approx(sum(ranks) / len(ranks))
    assert 0 <= found.p <= 1
    assert list(found.ranks.values()) == sorted(found.ranks.values())


def test_groups_join_what_is_within_the_critical_difference():
    ranks = {"a": 1.0, "b": 1.5, "c": 2.4, "d": 4.0}
    assert MeanRanks(ranks, 9, 0.0, critical=1.0).groups == [("a", "b"), ("b", "c")]
    assert MeanRanks(ranks, 9, 0.0, critical=0.1).groups == []
    assert MeanRanks(ranks, 9, 0.0, critical=5.0).groups == [("a", "d")]


def test_equal_scores_tell_nothing():
    found = MeanRanks.of({name: [1.0, 2.0, 3.0] for name in "abc"})
    assert found.p == 1.0
    assert set(found.ranks.values()) == {2.0}


def test_too_little_to_rank():
    with pytest.raises(ValueError, match="ranks need 3 methods and studies"):
        MeanRanks.of({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]})
    assert rank_studies([]) is None
