import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import terms_alone  # a script, no package

SMALL = ["--model=resnet8", "--batch-size=8", "--data=fake:classes=4,size=16,train=32,test=8", "--rounds=2"]


def test_terms_beside_cross_entropy(capsys):
    terms_alone.main([*SMALL, "--methods", "dsr()", "drg()"])
    header, *rows, _, setting = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["method", "terms"]
    found = {row.split()[0]: row.split() for row in rows}
    assert [*found] == ["dsr()", "drg()"]
    assert all(float(row[1].rstrip("x")) > 1 for row in found.values())
    assert float(found["dsr()"][4].rstrip("x")) == 1  # elementwise: no convolution and no matrix product
    assert float(found["drg()"][4].rstrip("x")) > 1
    assert setting == "resnet8, batches of 8, 2 rounds, 1 thread(s)"


def test_methods_that_do_not_fit_are_left_out(capsys):
    terms_alone.main([*SMALL, "--methods", "dsr()", "drg(tap='stage9')"])
    out = capsys.readouterr().out
    assert "left out: drg(tap='stage9'): " in out
    assert "\ndsr()" in out


def test_the_ratio_is_time_over_arithmetic():
    found = terms_alone.Terms("drg()", terms_alone.Quartiles(1.0, 1.5, 2.0), 1.2)
    assert found.ratio == pytest.approx(1.25)
