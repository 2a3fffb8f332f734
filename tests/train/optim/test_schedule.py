from math import cos, pi

import pytest

from selfdistill.train.config import RunConfig
from selfdistill.train.optim.schedule import learning_rate


def rates(config, steps_per_epoch=10):
    steps = config.epochs * steps_per_epoch
    return [learning_rate(step, steps, steps_per_epoch, config) for step in range(steps)]


def test_cosine_falls_from_the_peak_to_almost_zero():
    found = rates(RunConfig("ce()", epochs=4, lr=0.2))
    assert found[0] == 0.2
    assert found[20] == pytest.approx(0.1)
    assert found[10] == pytest.approx(0.1 * (1 + cos(pi / 4)))
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] < 0.001


def test_warm_up_reaches_the_peak_and_the_cosine_starts_there():
    found = rates(RunConfig("ce()", epochs=4, lr=0.2, warmup=2))
    assert found[0] == pytest.approx(0.2 / 20)
    assert found[9] == pytest.approx(0.1)
    assert found[19] == found[20] == pytest.approx(0.2)
    assert found[30] == pytest.approx(0.1)


def test_steps_lower_the_rate_at_shares_of_the_run():
    found = rates(RunConfig("ce()", epochs=4, lr=1.0, schedule="step", milestones=(0.5, 0.75), gamma=0.1))
    assert found[:20] == [1.0] * 20
    assert found[20:30] == pytest.approx([0.1] * 10)
    assert found[30:] == pytest.approx([0.01] * 10)


def test_a_run_that_is_all_warm_up():
    assert rates(RunConfig("ce()", epochs=1, lr=1.0, warmup=1), 4) == [0.25, 0.5, 0.75, 1.0]


def test_linear_falls_by_equal_steps_and_constant_stays():
    found = rates(RunConfig("ce()", epochs=4, lr=0.2, schedule="linear", warmup=1))
    assert found[10] == 0.2
    assert found[25] == pytest.approx(0.1)
    assert rates(RunConfig("ce()", epochs=2, lr=0.2, schedule="constant"))[-1] == 0.2
