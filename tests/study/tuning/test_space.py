"""The space of a search: ranges as written, priors of the annotations, and the method at given values."""

import re

import pytest

from selfdistill.errors import UserError
from selfdistill.method.constructor import number_arguments
from selfdistill.methods import csd, drg, okddip
from selfdistill.schema import Range
from selfdistill.study.tuning.space import space_of
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", lr=0.2, weight_decay=1e-4)


def ranges(text, base=BASE):
    return {each.name: each.range for each in space_of(text, base).dimensions}


def test_every_free_number_has_the_prior_of_its_annotation():
    assert ranges("drg()") == {
        "drg.alpha": Range(0.02, 2.0, log=True),
        "drg.temperature": Range(1.0, 16.0, log=True),
        "lr": Range(0.02, 2.0, log=True),
        "weight_decay": Range(1e-5, 1e-3, log=True),
    }


def test_plain_cross_entropy_has_the_recipe_alone():
    assert list(ranges("ce()")) == ["lr", "weight_decay"]


def test_a_value_fixes_its_argument():
    space = space_of("drg(alpha=0.3)", BASE)
    assert [each.name for each in space.dimensions] == ["drg.temperature", "lr", "weight_decay"]
    assert space.method({"drg.temperature": 2.5}) == "drg(alpha=0.3, temperature=2.5)"


@pytest.mark.parametrize("text", ["0.1..30", "1e-1..3e1", ".1..30.0"])
def test_a_range_as_written(text):
    assert ranges(f"scd(weight={text})")["scd.weight"] == Range(0.1, 30, log=True)


def test_a_range_from_zero_is_linear():
    assert ranges("csd(warmup=0..10)")["csd.warmup"] == Range(0, 10, log=False)


def test_a_positional_range():
    assert ranges("csd(0.5..2)")["csd.weight"] == Range(0.5, 2, log=True)


def test_whole_numbers_stay_whole():
    space = space_of("one(branches=2..5)", BASE)
    branches = next(each for each in space.dimensions if each.name == "one.branches")
    assert (branches.range, branches.rounded(3.6), branches.whole) == (Range(2, 5, log=False), 4, True)
    assert space.method({"one.branches": 4}) == "one(branches=4)"


def test_a_sum_has_the_dimensions_of_each_summand():
    space = space_of("drg(alpha=0.1..1, temperature=4) + dsr()", BASE)
    assert [each.name for each in space.dimensions][:3] == ["drg.alpha", "dsr.weight", "dsr.temperature"]
    assert space.method({"drg.alpha": 0.5, "dsr.weight": 2.0}) == "drg(alpha=0.5) + dsr(weight=2.0)"
    assert space.default == "drg() + dsr()"


def test_the_configuration_has_method_and_recipe():
    found = space_of("drg()", BASE).config(BASE, {"drg.alpha": 0.5, "lr": 0.05, "weight_decay": 0.001})
    assert (found.method, found.lr, found.weight_decay) == ("drg(alpha=0.5)", 0.05, 0.001)


def test_a_default_of_zero_has_no_prior():
    assert "csd.warmup" not in ranges("csd()")
    assert number_arguments(csd)["warmup"].prior(0.0) is None


def test_a_constant_is_not_searched():
    assert number_arguments(okddip)["epsilon"].prior is None


def test_arguments_that_are_no_numbers_are_left_out():
    assert set(number_arguments(drg)) == {"alpha", "temperature"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scd(weight=30..0.1)", "the range weight=30..0.1 must rise; write weight=0.1..30"),
        ("scd(weight=-1..3)", "a number of 0 or more"),
        ("one(branches=2..50)", "a whole number from 2 to 20"),
        ("scd(normalised=True, weight=1..500)", "weight must be 300 or less"),
        ("drg(tap=1..2)", "tap has no number as its default"),
        ("control(drg())", "tune the method itself"),
        ("drg(alpah=0.1..1)", "its arguments are drg("),
        ("drg(alpha=0.1...1..2)", "cannot read the method"),
        ("nothing()", "there is no method 'nothing'"),
        ("drg() + drg()", "can be added once"),
    ],
)
def test_what_does_not_fit_is_refused(text, words):
    with pytest.raises(UserError, match=re.escape(words)):
        space_of(text, BASE)


def test_text_with_dots_is_not_a_range():
    with pytest.raises(UserError, match=r"1\.\.2"):
        space_of("drg(alpha='1..2')", BASE)
