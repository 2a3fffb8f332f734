import sys
from argparse import ArgumentTypeError
from itertools import chain, combinations
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import all_pairs  # a script, no package


def test_three_methods(capsys):
    assert all_pairs.main(["--methods", "dsr()", "dlb()", "sla()"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "3 pairs: 2 trained, 1 refused, 0 failed"
    assert second.startswith("refused 1, such as dlb() + sla(): dlb() and sla() each set their own task")


def test_an_exception_in_the_step_is_a_failure(capsys, monkeypatch):
    def broken(trainer):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(all_pairs, "two_steps", broken)
    assert all_pairs.main(["--methods", "ce()", "dsr()"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "1 pairs: 0 trained, 0 refused, 1 failed",
        "FAILED ce() + dsr(): RuntimeError: on purpose",
    ]


def test_a_number_that_is_not_finite_is_a_failure(capsys, monkeypatch):
    monkeypatch.setattr(all_pairs, "two_steps", lambda trainer: ["loss task of step 1"])
    assert all_pairs.main(["--methods", "ce()", "dsr()"]) == 1
    assert capsys.readouterr().out.endswith("FAILED ce() + dsr(): not finite: loss task of step 1\n")


def test_parts_have_every_pair_once():
    pairs = list(combinations("abcdef", 2))
    parts = [all_pairs.part_of(pairs, (number, 4)) for number in range(1, 5)]
    assert sorted(chain.from_iterable(parts)) == pairs
    assert {len(each) for each in parts} == {3, 4}


@pytest.mark.parametrize(("text", "answer"), [("2", "is no part"), ("5/4", "part 5 of 4 is none"), ("0/4", "is none")])
def test_parts_that_are_none_are_refused(text, answer):
    assert all_pairs.part("2/4") == (2, 4)
    with pytest.raises(ArgumentTypeError, match=answer):
        all_pairs.part(text)


def test_reasons_are_grouped_without_the_methods_names():
    one, other = "dlb() and sla() each set (A and B); leave", "ps_kd() + ce() and sla_sd(t=1) each set (C); leave"
    assert all_pairs.reason_in_general(one) == all_pairs.reason_in_general(other)
