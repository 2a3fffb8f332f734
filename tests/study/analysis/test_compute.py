"""Compute by arithmetic: by hand where a step can be counted, and what is trained for longer."""

from dataclasses import replace
from pathlib import Path

import pytest

from selfdistill.models import create
from selfdistill.report.tables.accuracy import footer, markdown
from selfdistill.study import Grid, Study, compare_all
from selfdistill.study.analysis.compute import longer_rows, relative_compute, step_flops
from selfdistill.study.engine.job import load_splits
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", limit=100, epochs=5, batch_size=20)


@pytest.fixture(scope="module")
def digits():
    return load_splits(BASE)


def test_a_step_by_hand(digits):
    """Each convolution and linear layer: one pass forward, two backward but one for the images themselves."""
    import torch

    model, counts = create("resnet8", 10, size=8), []

    def count(module, inputs, output):
        weights = module.weight.numel() * (output[0, 0].numel() if output.dim() == 4 else 1)
        counts.append(2 * len(output) * weights)

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    model(torch.zeros(20, 3, 8, 8))
    assert step_flops(BASE, digits) == 3 * sum(counts) - counts[0]


@pytest.mark.parametrize(
    ("method", "ratio"),
    [
        ("ce()", 1.0),
        ("dsr()", 1.0),
        ("cs_kd()", 1.3),  # one more pass, forward only
        ("ddgsd()", 2.0),  # two views, both with gradient
        ("kd()", 2.3),  # a teacher's pass forward, and its training
        ("born_again(generations=2)", 3.6),  # one ancestor with a teacher of its own
    ],
)
def test_ratios(digits, method, ratio):
    assert relative_compute(replace(BASE, method=method), digits) == pytest.approx(ratio, abs=0.08)


def test_a_teacher_that_is_there_costs_its_passes_only(digits, tmp_path):
    from selfdistill.train.run import run

    run(replace(BASE, epochs=1), tmp_path / "teacher")
    there = relative_compute(replace(BASE, method=f"kd(teacher='{tmp_path / 'teacher'}')"), digits)
    assert there == pytest.approx(4 / 3, abs=0.05)


def test_rows_are_shared_by_methods_of_like_cost():
    found = {"ce()": 1.0, "a": 1.31, "b": 1.35, "c": 2.1}
    assert longer_rows(found, 12) == {"ce() at 1.33x": 16, "ce() at 2.08x": 25}
    assert longer_rows({"ce()": 1.0, "a": 0.9, "b": 1.02}, 12) == {}


@pytest.mark.parametrize("epochs", [1, 3, 12, 20, 200])
@pytest.mark.parametrize("ratio", [1.04, 1.05, 1.26, 1.3265, 1.5, 2.0, 3.97])
def test_equal_compute_is_rounded_once(epochs, ratio):
    study = Study(replace(BASE, epochs=epochs), ("ce()", "a"), (0,), Path(), epochs=longer_rows({"a": ratio}, epochs))
    study.compute = {"ce()": 1.0, "a": ratio}
    found = study.equal_compute("a")
    assert (found is None) == (round(epochs * ratio) == epochs)
    if found:
        assert abs(study.epochs[found] - epochs * ratio) <= 0.5
        assert found == f"ce() at {study.epochs[found] / epochs:.2f}x"


def test_a_study_at_equal_compute(tmp_path):
    grid = Grid(["ce()", "cs_kd()"], seeds=range(2), recipe=replace(BASE, epochs=3), equal_compute=True)
    (study,) = compare_all(grid, tmp_path)
    assert study.methods == ("ce()", "cs_kd()", "ce() at 1.33x")
    assert [each["epochs"] for each in study.finished("ce() at 1.33x")] == [4, 4]
    assert study.equal_compute("cs_kd()") == "ce() at 1.33x"
    assert study.equal_compute("ce()") is None
    assert "equal compute, by FLOPs: ce() at 1.33x trains for 4 epochs." in footer(study)
    heading, _, _, row, _ = markdown(study).splitlines()[:5]
    cells = dict(zip(heading.split(" | "), row.split(" | "), strict=True))
    own, longer = ([each["top1"] for each in study.finished(method)] for method in ("cs_kd()", "ce() at 1.33x"))
    mean = sum(a - b for a, b in zip(own, longer, strict=True)) / 2
    assert cells["against ce() at equal compute"].startswith(f"{mean:+.2f}")
    assert cells["compute"] == f"{study.compute['cs_kd()']:.2f}x"
