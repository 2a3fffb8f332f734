"""Whole runs on a CUDA device: exact resume, fused SGD, strategies, compiled steps, and no hidden synchronization."""

from dataclasses import replace

import pytest
import torch

from selfdistill.data import load
from selfdistill.train.run import run
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, trainer, weights

METHODS = ["ce()", "drg() + dsr()", "csd()", "ps_kd()", "ddgsd()", "dlb()"]


@pytest.fixture
def digits():
    return load("digits", limit=200)


@pytest.fixture
def deterministic(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("text", METHODS)
def test_a_resumed_run_is_bitwise_the_same(text, tmp_path, deterministic):
    config = small(text, accelerator="cuda")
    run(config, tmp_path / "once")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "twice", listener=StopAfter(1))
    run(config, tmp_path / "twice")
    assert weights(tmp_path / "once") == weights(tmp_path / "twice")
    assert log(tmp_path / "once") == log(tmp_path / "twice")


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
@pytest.mark.parametrize("text", METHODS)
def test_steps_wait_for_nothing(text, precision, digits, tmp_path):
    made = trainer(small(text, accelerator="cuda", precision=precision, batch_size=40), digits, tmp_path)
    made.train_step.run.train()
    made.train_step.start_epoch()
    steps = enumerate(made.batches(0))
    for number, batch in steps:  # the first steps make the optimizer's state and choose kernels
        made.train_step.step(batch, made.progress(number), made.rate(number))
        if number == 1:
            break
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number, batch in steps:
            made.train_step.step(batch, made.progress(number), made.rate(number))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_sgd_is_fused(digits, tmp_path):
    made = trainer(small(accelerator="cuda"), digits, tmp_path)
    assert made.train_step.optimizer.optimizer.defaults["fused"]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_one_process_of_each_strategy(strategy, tmp_path):
    config = small("drg() + csd()", accelerator="cuda")
    one = run(config, tmp_path / "plain")
    other = run(replace(config, strategy=strategy), tmp_path / strategy)
    assert one["top1"] == pytest.approx(other["top1"], abs=3)


@pytest.mark.parametrize("text", METHODS)
def test_a_compiled_run_learns_alike(text, tmp_path):
    config = small(text, accelerator="cuda", batch_size=40)
    eager, compiled = run(config, tmp_path / "eager"), run(replace(config, compile=True), tmp_path / "compiled")
    assert compiled["top1"] == pytest.approx(eager["top1"], abs=5)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("text", METHODS)
def test_cuda_graphs_keep_the_memory(text, accumulate, tmp_path):
    config = small(text, accelerator="cuda", batch_size=40, accumulate=accumulate)
    graphs = replace(config, compile=True, compile_mode="reduce-overhead")
    eager, replayed = run(config, tmp_path / "eager"), run(graphs, tmp_path / "graphs")
    assert replayed["top1"] == pytest.approx(eager["top1"], abs=5)


def test_the_memory_of_a_step_is_measured(digits, tmp_path):
    torch.cuda.reset_peak_memory_stats()
    run(small(accelerator="cuda"), tmp_path)
    assert 0 < torch.cuda.max_memory_allocated() < 2**30
