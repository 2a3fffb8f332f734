"""Statistics against scipy, against published and stored numbers, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfdistill.run_key import FoldSeed
from selfdistill.study.analysis.comparison import paired
from selfdistill.study.analysis.statistics import Difference, MeanStd, fold_means, holm, power, verdict

VALUES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=8)
# Top-1 of two methods at seeds 0 to 4 (made up); what scipy 1.17 says of them stands in the test.
STORED = ([76.9, 77.4, 77.1, 77.8, 76.6], [76.2, 76.5, 76.4, 76.3, 76.1])


def test_spread_by_hand():
    assert MeanStd.of([2.0, 4.0, 9.0]) == MeanStd(5.0, pytest.approx(13**0.5), 3)
    assert MeanStd.of([7.0]) == MeanStd(7.0, None, 1)
    assert MeanStd.of([7.0]).reach is None


def test_the_means_own_interval_is_scipys():
    values = STORED[0]
    spread = MeanStd.of(values)
    want = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (spread.mean - spread.reach, spread.mean + spread.reach) == pytest.approx(want)


def test_stored_numbers():
    found = Difference.paired(*STORED)
    assert found.mean == pytest.approx(0.86)
    assert (found.low, found.high) == pytest.approx((0.382322, 1.337678), abs=1e-6)
    assert found.p == pytest.approx(0.00749760, abs=1e-8)
    assert found.std == pytest.approx(0.38470768, abs=1e-8)


@given(VALUES)
def test_interval_and_p_are_scipys(pairs):
    one, other = zip(*pairs, strict=True)
    found = Difference.paired(one, other)
    gaps = [a - b for a, b in pairs]
    if max(gaps) - min(gaps) < 1e-6:
        return
    tested = stats.ttest_rel(one, other)
    want = tested.confidence_interval(0.95)
    assert found.low == pytest.approx(want.low, rel=1e-6, abs=1e-9)
    assert found.high == pytest.approx(want.high, rel=1e-6, abs=1e-9)
    assert found.p == pytest.approx(tested.pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([2.0, 2.1, 1.9], "better"),
        ([-2.0, -2.1, -1.9], "worse"),
        ([1.0, -1.0, 0.5], "not distinguishable"),
        ([5.0], "one seed"),
        ([0.28, 0.28], "untested"),  # the same twice says nothing of the spread
        ([math.nan, 2.0], "one seed"),
        ([math.nan, math.inf], "untested"),
        ([math.nan, 2.0, 2.1, 1.9], "better"),
    ],
)
def test_verdict(values, word):
    assert Difference.paired(values, [0.0] * len(values)).verdict == word


def test_equal_differences_are_not_certain_ones():
    found = Difference.paired([98.61, 97.22], [98.33, 96.94])  # equal but for rounding
    assert (found.low, found.high, found.p, found.std) == (None, None, None, 0.0)
    assert found.seeds_needed() is None
    assert found.seeds_needed_range() is None
    assert found.detectable() is None


def test_holm_by_hand():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_lies_between_none_and_bonferroni_and_keeps_the_order(p_values):
    found = holm(p_values)
    for name, p in p_values.items():
        assert p <= found[name] <= min(1.0, len(p_values) * p) + 1e-12
    assert all(found[a] <= found[b] for a in found for b in found if p_values[a] < p_values[b])


@pytest.mark.parametrize(  # G*Power's and Cohen's published table values, paired, two-sided 5 %, power 0.8
    ("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)]
)
def test_seeds_needed_are_the_tables(effect, pairs):
    gaps = np.array([-1.0, 0.0, 1.0])
    gaps = gaps / gaps.std(ddof=1) + effect
    assert Difference.paired(gaps.tolist(), [0.0] * 3).seeds_needed() == pairs


def test_power_by_simulation():
    draws = np.random.default_rng(0).normal(0.7, 1.0, (20_000, 12))
    seen = stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.01
    assert power(0.7, 12, 0.01) == pytest.approx(seen.mean(), abs=0.01)


@given(st.floats(0, 50), st.integers(2, 1000), st.sampled_from([0.05, 0.005, 0.0005]))
def test_power_is_a_chance_and_grows_with_the_seeds(effect, n, level):
    assert 0 <= power(effect, n, level) <= power(effect, n + 1, level) + 1e-6 <= 1 + 2e-6


def test_too_many_seeds_are_not_counted():
    assert Difference.paired([1.0, -1.0, 0.01], [0.0] * 3).seeds_needed() is None


def test_a_huge_effect_needs_two():
    assert Difference.paired([100.0, 100.001], [0.0, 0.0]).seeds_needed() == 2


ONE_IMAGE = 100 / 360  # of the digits' test set, in points


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_equal_gains_have_the_deviation_of_one_image(seeds):
    found = Difference.paired([95.0 + 10 * ONE_IMAGE] * seeds, [95.0] * seeds, ONE_IMAGE)
    t = 10 * seeds**0.5
    assert found.std == ONE_IMAGE
    assert found.p == pytest.approx(2 * stats.t.sf(t, seeds - 1))
    assert found.verdict == ("better" if found.p < 0.05 else "not distinguishable")
    assert found.low < found.mean < found.high


def test_equal_results_are_not_distinguishable():
    found = Difference.paired([95.0] * 3, [95.0] * 3, ONE_IMAGE)
    assert (found.p, found.verdict) == (1.0, "not distinguishable")


def test_a_larger_deviation_is_as_it_is():
    assert Difference.paired(*STORED, 0.01) == Difference.paired(*STORED)
    assert Difference.paired(*STORED, 10.0).std == 10.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_pairs_that_are_no_number_are_left_out(bad):
    values, base = STORED
    assert Difference.paired([bad, *values], [70.0, *base]) == Difference.paired(*STORED)
    assert Difference.paired([*values, 70.0], [*base, bad]) == Difference.paired(*STORED)
    assert MeanStd.of([bad, 2.0, 4.0]) == MeanStd.of([2.0, 4.0])


def test_no_number_at_all():
    found = Difference.paired([math.nan] * 3, [1.0] * 3)
    assert (found.n, found.p, found.std, found.verdict) == (0, None, None, "untested")
    assert math.isnan(MeanStd.of([math.nan]).mean)
    assert MeanStd.of([math.nan]).n == 0


def test_a_p_value_that_is_no_number_is_no_test():
    assert holm({"a": math.nan, "b": 0.03}) == {"b": 0.03}
    assert verdict(2.0, math.nan, 3) == "untested"
    assert verdict(math.nan, 0.01, 3) == "untested"


def test_the_detectable_difference_is_where_p_is_the_level():
    found = Difference.paired(*STORED)
    for level in (0.05, 0.05 / 7):
        t = found.detectable(level) / found.std * found.n**0.5
        assert 2 * stats.t.sf(t, found.n - 1) == pytest.approx(level)
    assert found.detectable() == pytest.approx((found.high - found.low) / 2)


def test_the_range_of_seeds_is_that_of_the_deviation():
    found = Difference.paired([1.0, 2.0, 0.5, 3.0, -0.5], [0.0] * 5)
    few, many = found.seeds_needed_range()
    assert few <= found.seeds_needed() <= many
    low, high = (found.std * (4 / stats.chi2.ppf(q, 4)) ** 0.5 for q in (0.975, 0.025))
    assert power(found.mean / low, few) >= 0.8 > power(found.mean / low, few - 1)
    assert power(found.mean / high, many) >= 0.8 > power(found.mean / high, many - 1)
    assert Difference.paired([1.0], [0.0]).seeds_needed_range() is None


def test_the_correlation_of_seeds_is_scipys():
    assert Difference.paired(*STORED).correlation == pytest.approx(stats.pearsonr(*STORED).statistic)
    assert Difference.paired([1.0, 2.0], [1.0, 2.0]).correlation is None
    assert Difference.paired([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]).correlation is None


def corrected_by_loops(own, base, n_test, n_train):
    """Nadeau and Bengio (2003), equation 9 and section 5: mean, standard error and p of J differences, in loops."""
    gaps = []
    for one, other in zip(own, base, strict=True):
        gaps.append(one - other)
    total = 0.0
    for gap in gaps:
        total += gap
    mean, squares = total / len(gaps), 0.0
    for gap in gaps:
        squares += (gap - mean) ** 2
    error = math.sqrt((1 / len(gaps) + n_test / n_train) * squares / (len(gaps) - 1))
    return mean, error, 2 * stats.t.sf(abs(mean / error), len(gaps) - 1)


def test_folds_are_tested_by_the_corrected_resampled_t_test():
    mean, error, p = corrected_by_loops(*STORED, n_test=20, n_train=80)
    found = Difference.paired(*STORED, overlap=20 / 80)
    edge = stats.t.isf(0.025, 4)
    assert (found.mean, found.p) == pytest.approx((mean, p))
    assert (found.low, found.high) == pytest.approx((mean - edge * error, mean + edge * error))
    assert found.detectable() == pytest.approx(edge * error)
    assert (found.seeds_needed(), found.seeds_needed_range()) == (None, None)
    plain = Difference.paired(*STORED)
    assert (found.high - found.low) / (plain.high - plain.low) == pytest.approx(1.5)  # sqrt(0.45 / 0.2)
    assert (plain.verdict, found.verdict) == ("better", "better")
    assert Difference.paired([5.0], [4.0], overlap=0.25).verdict == "one fold"


def test_a_difference_that_seeds_would_show_may_be_none_over_folds():
    own, base = [76.9, 76.8, 77.1, 77.2, 76.2], STORED[1]
    assert Difference.paired(own, base).verdict == "better"
    assert corrected_by_loops(own, base, 1, 2)[2] > 0.05
    assert Difference.paired(own, base, overlap=1 / 2).verdict == "not distinguishable"


@given(VALUES)
def test_without_an_overlap_nothing_is_corrected(pairs):
    one, other = zip(*pairs, strict=True)
    assert Difference.paired(one, other, overlap=0.0) == Difference.paired(one, other)


def test_the_interval_of_a_mean_over_folds():
    found = MeanStd.of(STORED[0], overlap=0.25)
    assert found.reach == pytest.approx(1.5 * MeanStd.of(STORED[0]).reach)


def test_seeds_are_averaged_within_their_fold():
    values = {FoldSeed(0, 0): 90.0, FoldSeed(0, 1): 92.0, FoldSeed(1, 0): math.nan, FoldSeed(1, 1): 80.0}
    assert fold_means(values) == {0: 91.0, 1: 80.0}
    assert fold_means({3: 90.0, 4: math.inf, 5: 80.0}) == {3: 90.0, 5: 80.0}


def test_only_runs_that_both_rows_have_are_compared():
    own = {FoldSeed(0, 0): 91.0, FoldSeed(0, 1): 99.0, FoldSeed(1, 0): 92.0, FoldSeed(2, 0): 95.0}
    base = {FoldSeed(0, 0): 90.0, FoldSeed(1, 0): 90.0, FoldSeed(1, 1): 50.0}
    found = paired(own, base, None, 0.5)
    assert (found.mean, found.n) == (1.5, 2)
