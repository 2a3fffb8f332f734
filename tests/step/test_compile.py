"""torch.compile in runs: graphs shared by seeds, graphs dropped between configurations, CUDA graphs' outputs."""

from functools import partialmethod

import pytest
import torch
from torch import nn

from selfdistill.data import load
from selfdistill.step import Distiller, Step
from selfdistill.step.compile import ReplayedGraphs, _forget_other_graphs
from selfdistill.train.run import run
from tests.helpers.small_runs import small

METHODS = ["ce()", "drg()", "dsr()", "csd()", "sad()", "byot()", "cs_kd()", "lightskd()", "dlb()", "at()"]


@pytest.fixture
def digits():
    return load("digits", limit=64)


@pytest.fixture
def graphs(monkeypatch):
    """Graphs that are compiled; the backend runs them as they are: a real one takes a minute."""
    made = []

    def backend(graph, inputs, **options):
        made.append(graph)
        return graph

    monkeypatch.setattr(Distiller, "compile", partialmethod(nn.Module.compile, backend=backend))
    _forget_other_graphs.cache_clear()
    yield made
    torch.compiler.reset()


def test_seeds_share_one_graph(graphs, digits, tmp_path):
    for seed in range(3):
        run(small("drg()", epochs=1, seed=seed, compile=True), tmp_path / str(seed), splits=digits)
    assert len(graphs) == 1


def test_a_process_may_compile_more_configurations_than_dynamos_limit(graphs, digits, tmp_path):
    for text in METHODS:
        run(small(text, epochs=1, compile=True), tmp_path / text, splits=digits)
    assert len(graphs) >= len(METHODS)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_cuda_graphs_mode_trains_alike(accumulate, digits, tmp_path, graphs):
    config = small("lightskd() + scd()", epochs=1, accumulate=accumulate)
    eager = run(config, tmp_path / "eager", splits=digits)
    options = {"compile": True, "compile_mode": "reduce-overhead"}
    replayed = run(small("lightskd() + scd()", epochs=1, accumulate=accumulate, **options), tmp_path, splits=digits)
    assert replayed["nll"] == pytest.approx(eager["nll"], rel=1e-3)


def test_outputs_of_a_replayed_graph_are_copied():
    buffer = torch.ones(2, 3)
    step = ReplayedGraphs(True).copy_outputs(Step({"task": buffer.sum()}, {"dsr": {"logits": buffer}}, buffer))
    buffer.zero_()
    assert step.logits.sum() == 6
    assert step.remembered["dsr"]["logits"].sum() == 6
    assert step.losses["task"] == 6


def test_nothing_is_copied_without_graphs():
    step = Step({}, {}, torch.ones(2, 3))
    assert ReplayedGraphs(False).copy_outputs(step) is step
