"""Successive halving by hand."""

from selfdistill.study.tuning.halving import rungs, survivors
from selfdistill.study.tuning.trial import Trial, best_trial


def test_rungs_are_a_quarter_a_half_and_all():
    assert rungs(40) == (10, 20, 40)
    assert rungs(3) == (1, 2, 3)
    assert rungs(1) == (1,)


def test_the_better_half_goes_on():
    assert survivors({8: 10.0, 9: 40.0, 10: 30.0, 11: 20.0}, always=0) == [9, 10]


def test_of_an_odd_number_the_half_is_rounded_up():
    assert survivors({1: 10.0, 2: 40.0, 3: 30.0}, always=0) == [2, 3]


def test_of_equal_trials_the_earlier_go_on():
    assert survivors({1: 50.0, 2: 50.0, 3: 50.0, 4: 50.0}, always=0) == [1, 2]


def test_the_default_goes_on_though_it_is_last():
    assert survivors({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, always=0) == [0, 2, 3]


def test_the_best_is_never_worse_than_the_default():
    default, pruned, worse = Trial(0, {}, {4: 60.0}), Trial(1, {}, {2: 90.0}), Trial(2, {}, {4: 50.0})
    assert best_trial([default, pruned, worse], 4) == default
    assert best_trial([default, pruned, better := Trial(3, {}, {4: 61.0})], 4) == better


def test_a_failed_trial_is_not_the_best():
    assert best_trial([Trial(0, {}, {4: 60.0}, error="not finite")], 4) is None
