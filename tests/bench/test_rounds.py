import pytest

from selfdistill.bench.rounds import Quartiles, run_rounds
from selfdistill.bench.table import HEADER, footer, rows
from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.small_runs import small

CONFIG = small(data="fake:classes=4,size=8,train=70", limit=None)


@pytest.fixture(scope="module")
def splits():
    return load(CONFIG.data)


@pytest.fixture(scope="module")
def costs(splits):
    rounds = []
    found = run_rounds(["dsr()", "ce()", "dsr()", "ddgsd()"], CONFIG, splits, rounds=3, steps=2, on_round=rounds.append)
    assert rounds == [1, 2, 3]
    return found


def test_cross_entropy_comes_first_and_again_as_the_noise_floor(costs):
    assert [each.method for each in costs] == ["ce()", "ce() again", "dsr()", "ddgsd()"]
    base, again = costs[:2]
    assert base.step == Quartiles(1.0, 1.0, 1.0)
    assert again.arithmetic == again.memory == 1.0
    assert again.step.low <= again.step.middle <= again.step.high


def test_speed_and_step_are_of_the_same_steps(costs):
    for each in costs:
        assert each.images_per_second * each.step_ms == pytest.approx(1000 * CONFIG.batch_size)
        assert 0 < each.data.low <= each.data.high < 1
        assert each.terms.low >= 1


def test_two_views_cost_two_passes_and_the_memory_of_a_batch(costs):
    assert costs[-1].arithmetic == pytest.approx(2, rel=0.01)
    assert costs[-1].memory > 1.3
    assert costs[-1].bytes == pytest.approx(costs[-1].memory * costs[0].bytes)


def test_the_table_has_a_cell_for_each_column(costs):
    lines = rows(costs)
    assert {len(line) for line in lines} == {len(HEADER)}
    assert lines[0][3:6] == ("1.000x", "[1.000, 1.000]", "1.000x")
    assert "3 interleaved rounds of 2 step(s)" in " ".join(footer(3, 2, "here"))


def test_quartiles():
    assert Quartiles.of([5, 1, 2, 4, 3]) == Quartiles(2, 3, 4)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [({"rounds": 1, "steps": 1}, "rounds must be 2 or more, but is 1"), ({"rounds": 2, "steps": 0}, "steps must be 1")],
)
def test_too_few_rounds_or_steps_are_refused(splits, asked, answer):
    with pytest.raises(UserError, match=answer):
        run_rounds(["dsr()"], CONFIG, splits, **asked)
