import math
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from selfdistill.schema import between, fits, mismatches, normalized, short_repr, wanted


class Inner(TypedDict):
    share: Annotated[float, between(0, 1)]


class Record(TypedDict):
    name: str
    inner: Inner
    rows: list[Inner]
    counts: dict[str, int]
    best: NotRequired[float | None]


GOOD = {"name": "a", "inner": {"share": 0.5}, "rows": [{"share": 1}], "counts": {"x": 3}}


def words(value, kind=Record):
    return [str(each) for each in mismatches(value, kind, "")]


def test_a_record_that_fits():
    assert words(GOOD) == []
    assert words(GOOD | {"best": None, "of a later version": object()}) == []


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"name": None}, "name must be text, but is None"),
        ({"inner": []}, "inner must be an object, but is []"),
        ({"inner": {}}, "inner.share must be a number from 0 to 1, but is missing"),
        ({"inner": {"share": 1.5}}, "inner.share must be a number from 0 to 1, but is 1.5"),
        ({"inner": {"share": True}}, "inner.share must be a number from 0 to 1, but is True"),
        ({"inner": {"share": math.nan}}, "inner.share must be a number from 0 to 1, but is nan"),
        ({"rows": {}}, "rows must be a list, but is {}"),
        ({"rows": [{"share": 0}, {"share": "a"}]}, "rows[1].share must be a number from 0 to 1, but is 'a'"),
        ({"counts": {"x": 1.0}}, "counts.x must be a whole number, but is 1.0"),
        ({"counts": 3}, "counts must be an object, but is 3"),
        ({"best": "x"}, "best must be a number, but is 'x'"),
        ({"best": 10**400}, "best must be a number, but is a whole number of 1329 bits"),
    ],
)
def test_what_does_not_fit_is_named(change, answer):
    assert words(GOOD | change) == [answer]


def test_a_missing_key_and_another_thing_at_the_top():
    assert words({}) == [
        "name must be text, but is missing",
        "inner must be an object, but is missing",
        "rows must be a list, but is missing",
        "counts must be an object, but is missing",
    ]
    assert words([]) == ["the whole must be an object, but is []"]


@pytest.mark.parametrize(
    ("value", "kind", "good"),
    [
        (1, float, True),
        (True, int, False),
        (True, bool, True),
        (1, bool, False),
        (math.inf, float, False),
        (1, Literal["a", 1], True),
        (True, Literal["a", 1], False),
        (1.0, Literal["a", 1], False),
        (None, str | None, True),
        ((1, 2), tuple[int, int], True),
        ((1, 2, 3), tuple[int, int], False),
        ([1, 2], tuple[int, int], False),
        ((1, 2, 3), tuple[int, ...], True),
        ((), tuple[int, ...], True),
        (object(), Any, True),
    ],
)
def test_kinds(value, kind, good):
    assert fits(value, kind) is good


def test_a_number_has_one_spelling():
    assert repr(normalized(1, float)) == "1.0"
    assert repr(normalized(-0.0, float | None)) == "0.0"
    assert repr(normalized(1, int)) == "1"
    assert normalized(True, float) is True
    assert normalized("a", str) == "a"


def test_words_of_kinds():
    assert wanted(Literal["a", "b"]) == "'a' or 'b'"
    assert wanted(str | None) == "text"
    assert wanted(list[int]) == "a list"


def test_a_quoted_value_is_short():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    for value in ("x" * 10**6, int("9" * 4000) ** 10, deep, [10**5000] * 1000):
        assert len(short_repr(value)) < 300
