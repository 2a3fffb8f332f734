"""Class weights and balanced epochs of runs."""

import json
from dataclasses import replace

import pytest
import torch

from selfdistill import data
from selfdistill.errors import UserError
from selfdistill.records import read_info
from selfdistill.train.config import RunConfig
from selfdistill.train.run import resolve, run
from tests.helpers.small_runs import Interrupted, StopAfter, command, log, segmenting, small, tagging, trainer, weights


@pytest.fixture(scope="module")
def splits():
    """Digits with few images of the later classes."""
    whole = data.load("digits")
    kept = torch.cat([(whole.train.labels == k).nonzero().flatten()[: 60 - 6 * k] for k in range(10)])
    return replace(whole, train=whole.train.rows(kept), fingerprint=None)


def few(text="ce()", **changes):
    return small(text, **{"limit": None, "epochs": 1, "batch_size": 60} | changes)


def test_the_batches_carry_the_weights_of_their_classes(splits, tmp_path):
    made = trainer(few(class_weights="auto"), splits, tmp_path)
    counts = torch.bincount(splits.train.labels)
    for (batch,) in made.batches(0):
        assert torch.allclose(batch.weights, (len(splits.train) / (10 * counts))[batch.labels])
    assert next(trainer(few(), splits, tmp_path).batches(0))[0].weights is None


def test_weights_of_a_file_are_recorded_and_train_another_network(splits, tmp_path):
    file = tmp_path / "weights.json"
    file.write_text(json.dumps({name: 1 + k for k, name in enumerate(splits.classes)}))
    weighted = few(class_weights=str(file))
    run(weighted, tmp_path / "weighted", splits=splits)
    run(few(), tmp_path / "plain", splits=splits)
    assert read_info(tmp_path / "weighted")["class_weights"] == {name: 1 + k for k, name in enumerate(splits.classes)}
    assert "class_weights" not in read_info(tmp_path / "plain")
    assert weights(tmp_path / "weighted") != weights(tmp_path / "plain")


def test_weights_that_changed_since_the_run_began_are_refused(splits, tmp_path):
    file = tmp_path / "weights.json"
    file.write_text(json.dumps(dict.fromkeys(splits.classes, 1)))
    config = few(class_weights=str(file), epochs=2)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", splits=splits, listener=StopAfter(1))
    file.write_text(json.dumps(dict.fromkeys(splits.classes, 2)))
    with pytest.raises(UserError, match="the class weights have changed since the run in .* began, from .*restore the"):
        run(config, tmp_path / "run", splits=splits)


@pytest.mark.parametrize("text", ["ce()", "mixup()"])
def test_a_balanced_weighted_run_resumes_exactly(splits, tmp_path, text):
    config = few(text, class_weights="auto", balanced=True, epochs=2)
    run(config, tmp_path / "whole", splits=splits)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", splits=splits, listener=StopAfter(1))
    run(config, tmp_path / "cut", splits=splits)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_balanced_batches_are_the_same_for_methods_and_parts(splits, tmp_path):
    whole = [each[0].index for each in trainer(few(balanced=True), splits, tmp_path).batches(0)]
    other = [each[0].index for each in trainer(few("drg() + dsr()", balanced=True), splits, tmp_path).batches(0)]
    parts = trainer(few(balanced=True, accumulate=2), splits, tmp_path).batches(0)
    joined = [torch.cat([part.index for part in each]) for each in parts]
    assert all(map(torch.equal, whole, other))
    assert all(map(torch.equal, whole, joined))
    counts = torch.bincount(splits.train.labels[torch.cat(whole)], minlength=10)
    assert counts.min() >= 0.6 * counts.max()  # a last incomplete batch is dropped


def test_the_loss_of_accumulated_parts_is_that_of_the_batch(splits, tmp_path):
    losses = []
    for accumulate in (1, 2):
        made = trainer(few(class_weights="auto", accumulate=accumulate), splits, tmp_path)
        made.distiller.student.eval()  # statistics of parts differ
        parts = next(made.batches(0))
        found, _ = made.train_step.step(parts, made.progress(0), 0.1)
        losses.append(found["task"])
    assert torch.isclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (segmenting(class_weights="auto"), "--class-weights is for examples of one class, but .* the task 'segment'"),
        (tagging(balanced=True), "--balanced is for examples of one class, but .* is of the task 'tag'; leave it out"),
        (RunConfig("cs_kd()", balanced=True), None),
        (RunConfig("bake()", balanced=True), r"bake\(.*\) groups the rows of a batch by class, so that --balanced"),
        (RunConfig("ps_kd()", balanced=True), r"ps_kd\(\) keeps a memory of each example .*--class-weights auto"),
        (RunConfig("proselflc()", class_weights="auto"), r"do not reach all losses of labels in proselflc\(\)"),
        (RunConfig("dlb()", class_weights="auto"), r"do not reach all losses of labels in dlb\(\)"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_file_is_read(tmp_path, config, why):
    if why is None:
        assert resolve(config, tmp_path).config.balanced
        return
    with pytest.raises(UserError, match=why):
        resolve(config, tmp_path)


def test_the_command_says_it_in_a_line(tmp_path, capsys):
    missing = tmp_path / "none.csv"
    words = ("train", "ce()", "--epochs", 1, "--limit", 20, "--class-weights", missing, "--out", tmp_path / "run")
    code, _, error = command(capsys, *words)
    assert code == 2
    assert "there is no file" in error
    assert len(error.strip().splitlines()) == 1
