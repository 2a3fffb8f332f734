"""The journal: trials survive in the file, and suggestions are a function of seed and earlier generations."""

from dataclasses import replace

import pytest

from selfdistill.errors import UserError
from selfdistill.study.tuning import journal as module
from selfdistill.study.tuning.journal import GENERATION, Journal, importance, suggest
from selfdistill.study.tuning.space import space_of
from selfdistill.study.tuning.trial import Trial
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", epochs=4, validation=0.2)
SPACE = space_of("drg(alpha=0.1..1)", BASE)


def history(count=GENERATION, score=lambda values: 50.0 + values["drg.alpha"]):
    found = []
    for number in range(count):
        values = suggest(SPACE, (), number, 4, seed=0)
        found.append(Trial(number, values, {1: score(values), 4: score(values)}))
    return found


def test_trials_are_read_as_they_were_added(tmp_path):
    trials = [
        Trial(0, SPACE.defaults, {1: 10.0, 2: 20.0, 4: 30.0}, seconds=1.5),
        Trial(1, suggest(SPACE, (), 1, 4, 0), {1: 5.0}),
        Trial(2, suggest(SPACE, (), 2, 4, 0), {}, error="the loss is not finite"),
    ]
    written = Journal(tmp_path, SPACE, BASE)
    for each in trials:
        written.add(each, 4)
    assert Journal(tmp_path, SPACE, BASE).trials == trials


def test_the_first_trial_has_the_defaults():
    assert suggest(SPACE, (), 0, 4, 0) == {
        "drg.alpha": 0.2, "drg.temperature": 4.0, "lr": 0.1, "weight_decay": 5e-4
    }  # fmt: skip


def test_a_default_outside_of_its_range_is_still_the_first_trial(tmp_path):
    space = space_of("drg(alpha=0.5..1)", BASE)
    journal = Journal(tmp_path, space, BASE)
    journal.add(Trial(0, space.defaults, {4: 50.0}), 4)
    assert journal.trials[0].values["drg.alpha"] == 0.2
    assert 0.5 <= journal.suggest(1, 4, 0)["drg.alpha"] <= 1


def test_suggestions_lie_in_their_ranges_with_three_digits():
    for number in range(1, 8):
        for each in SPACE.dimensions:
            value = suggest(SPACE, (), number, 4, 0)[each.name]
            assert each.holds(value)
            assert value == float(f"{value:.3g}")


def test_a_suggestion_depends_on_its_number_and_seed_alone():
    first = suggest(SPACE, (), 3, 4, 0)
    suggest(SPACE, (), 5, 4, 0)
    assert suggest(SPACE, (), 3, 4, 0) == first
    assert suggest(SPACE, (), 4, 4, 0) != first
    assert suggest(SPACE, (), 3, 4, 1) != first


def test_a_generation_sees_only_those_before_it(tmp_path):
    journal = Journal(tmp_path, SPACE, BASE)
    for each in history():
        journal.add(each, 4)
    before = journal.suggest(GENERATION + 1, 4, 0)
    journal.add(Trial(GENERATION, journal.suggest(GENERATION, 4, 0), {1: 99.0}), 4)
    assert journal.suggest(GENERATION + 1, 4, 0) == before


def test_earlier_generations_change_the_next():
    high, low = history(), history(score=lambda values: 50.0 - values["drg.alpha"])
    assert suggest(SPACE, high, 9, 4, 0) != suggest(SPACE, low, 9, 4, 0)


def test_a_journal_of_another_recipe_is_refused(tmp_path):
    Journal(tmp_path, SPACE, BASE)
    with pytest.raises(UserError, match="with another epochs; choose another --out"):
        Journal(tmp_path, SPACE, replace(BASE, epochs=5))


def test_a_journal_without_a_later_field_is_read(tmp_path):
    written = Journal(tmp_path, SPACE, BASE)
    described = written.study.user_attrs["search"]
    written.study.set_user_attr("search", {name: each for name, each in described.items() if name != "aux"})
    assert Journal(tmp_path, SPACE, BASE).trials == []


def test_the_dimension_that_decides_is_the_most_important():
    shares = importance(SPACE, history(24))
    assert max(shares, key=shares.get) == "drg.alpha"
    assert sum(shares.values()) == pytest.approx(1)


def test_few_or_equal_trials_have_no_importance():
    assert importance(SPACE, history(3)) == {}
    assert importance(SPACE, history(8, score=lambda _: 50.0)) == {}


def test_without_optuna_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'selfdistill\[tune\]'"):
        module.import_optuna()
