"""When a compiled step pays."""

from dataclasses import replace

import pytest
from torch import nn

from selfdistill.bench.compilation import Compilation, in_words
from selfdistill.bench.rounds import run_rounds
from selfdistill.bench.table import compilations
from selfdistill.data import load
from selfdistill.step import Distiller
from tests.helpers.small_runs import small

CONFIG = small(data="fake:classes=4,size=8,train=70", limit=None)


@pytest.mark.parametrize(("seconds", "step"), [(60.0, 6000), (0.005, 1), (0.0, 0)])
def test_it_pays_when_the_time_to_compile_is_saved(seconds, step):
    assert Compilation(seconds, eager_ms=30.0, compiled_ms=20.0).pays_from == step


def test_a_step_that_is_no_faster_never_pays():
    slow = Compilation(60.0, eager_ms=20.0, compiled_ms=20.0)
    assert slow.pays_from is None
    assert in_words("ce()", slow).endswith("20.0 ms a step, 20.0 ms eager: never pays")


def test_compiled_methods_are_timed_beside_eager_ones(monkeypatch):
    made = []

    def compiled(self, **options):  # a real backend takes two minutes
        made.append(self)
        nn.Module.compile(self, backend=lambda graph, inputs: graph, **options)

    monkeypatch.setattr(Distiller, "compile", compiled)
    costs = run_rounds(["ce()"], replace(CONFIG, compile=True), load(CONFIG.data), rounds=2, steps=1)
    assert len(made) == len(costs) == 2
    assert costs[0].compilation.seconds > 0
    assert costs[0].compilation.compiled_ms == costs[0].step_ms
    lines = [*compilations(costs)]
    assert len(lines) == 3
    assert lines[0].startswith("compiled ce(): ")


def test_eager_methods_have_no_line():
    costs = run_rounds(["ce()"], CONFIG, load(CONFIG.data), rounds=2, steps=1)
    assert [each.compilation for each in costs] == [None, None]
    assert [*compilations(costs)] == []
