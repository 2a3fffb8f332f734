import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from selfdistill import data
from selfdistill.errors import UserError
from selfdistill.metrics.accuracy import evaluate
from selfdistill.models import create
from selfdistill.train.artifacts import save_weights
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import load_run
from selfdistill.train.persist import checkpoint
from selfdistill.train.run import load_data, run
from tests.helpers.image_files import class_folders
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, untimed


def weights(folder):
    return (folder / "student.safetensors").read_bytes()


def test_two_runs_are_bitwise_the_same(tmp_path):
    results = [run(small("lightskd()"), tmp_path / name) for name in "ab"]
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert untimed(results[0]) == untimed(results[1])
    assert log(tmp_path / "a") == log(tmp_path / "b")


def test_another_seed_is_another_run(digits, tmp_path):
    for seed in range(2):
        run(small(seed=seed, epochs=1), tmp_path / str(seed), splits=digits)
    assert weights(tmp_path / "0") != weights(tmp_path / "1")


@pytest.mark.parametrize("text", ["ce()", "lightskd()", "csd()", "stkd()"])
def test_a_run_that_is_taken_up_ends_bitwise_the_same(text, digits, tmp_path):
    config = small(text, epochs=3)
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    result = run(config, whole, splits=digits)
    with pytest.raises(Interrupted):
        run(config, halved, splits=digits, listener=StopAfter(1))
    assert not (halved / "result.json").exists()
    torch.rand(11)
    again = run(config, halved, splits=digits)
    assert weights(halved) == weights(whole)
    assert untimed(again) == untimed(result)
    assert log(halved) == log(whole)
    ends = [checkpoint.read(folder / "last.ckpt") for folder in (whole, halved)]
    for part in ("terms", "optimizer", "ranks", "epoch", "step"):
        torch.testing.assert_close(ends[0][part], ends[1][part], rtol=0, atol=0)


def test_a_checkpoint_holds_no_teacher(digits, tmp_path):
    run(small("stkd()", epochs=1), tmp_path / "a", splits=digits)
    state = checkpoint.read(tmp_path / "a" / "last.ckpt")
    assert set(state["student"]) == set(create("resnet8", 10, size=8).state_dict())
    assert state["terms"] == {}


def test_the_students_file_holds_the_models_own_keys(digits, tmp_path):
    result = run(small("lightskd()"), tmp_path / "a", splits=digits)
    own, saved = create("resnet8", 10, size=8).state_dict(), load_file(tmp_path / "a" / "student.safetensors")
    assert saved.keys() == own.keys()
    student, facts = load_run(tmp_path / "a")
    found = evaluate(student, digits.test, data.default_augmentation(digits))
    assert {key: result[key] for key in found} == pytest.approx(found)
    assert (facts["mean"], facts["std"]) == (list(digits.mean), list(digits.std))


def test_tied_and_transposed_weights_can_be_saved(tmp_path):
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    net[0].weight.data = net[0].weight.data.T
    save_weights(net.state_dict(), tmp_path / "net.safetensors")
    saved = load_file(tmp_path / "net.safetensors")
    assert saved.keys() == net.state_dict().keys()
    assert torch.equal(saved["1.weight"], net[0].weight)


def test_what_a_run_leaves(digits, tmp_path):
    config = small("drg() + dsr()", validation=0.25)
    result = run(config, tmp_path / "a")
    files = [
        "best.safetensors",
        "last.ckpt",
        "log.jsonl",
        "previous.ckpt",
        "result.json",
        "run.json",
        "student.safetensors",
    ]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == files
    assert json.loads((tmp_path / "a" / "result.json").read_text()) == result
    said = json.loads((tmp_path / "a" / "run.json").read_text())
    assert said["config"] == config.to_json()
    assert said["resolved"].startswith("drg(tap='stage2', alpha=0.2, ")
    assert said["images"] == {"train": 150, "test": 359}
    assert said["versions"]["torch"] == torch.__version__
    held = [row["validation_top1"] for row in log(tmp_path / "a")]
    assert (result["validation_top1"], result["best_validation_top1"]) == (held[-1], max(held))
    assert result["parameters"] == sum(each.numel() for each in create("resnet8", 10, size=8).parameters())
    assert result["added_parameters"] > 0
    assert not any(isinstance(value, dict | list) for value in result.values())
    times = {"step_ms", "images_per_second", "train_seconds"}
    assert all(result[key] > 0 for key in times)
    rest = {"top1", "top5", "nll", "ece", "method", "resolved", "model", "data", "seed", "epochs", "parameters"}
    at_the_best = {"validation_top1", "best_validation_top1", "best_epoch", "best_epoch_top1"}
    assert set(result) == times | rest | at_the_best | {"added_parameters"}


@pytest.mark.parametrize("text", ["ce()", "ema()"])
def test_the_best_epoch_is_measured_on_the_test_set_at_the_end(text, tmp_path, monkeypatch):
    config, said = small(text, validation=0.25, epochs=4), iter([10.0, 30.0, 30.0, 20.0])
    monkeypatch.setattr("selfdistill.train.trainer.evaluate_task", lambda *_: {"top1": next(said)})
    result = run(config, tmp_path / "a")
    assert (result["best_epoch"], result["best_validation_top1"], result["validation_top1"]) == (2, 30.0, 20.0)
    network, _ = load_run(tmp_path / "a")
    last, best = network.state_dict(), load_file(tmp_path / "a" / "best.safetensors")
    assert not all(torch.equal(last[key], best[key]) for key in last)
    network.load_state_dict(best)
    splits = load_data(config)
    assert evaluate(network, splits.test, data.default_augmentation(splits))["top1"] == result["best_epoch_top1"]


def test_the_best_epoch_is_the_one_that_was_best_on_the_images_held_out(tmp_path):
    config = small(validation=0.25, epochs=4)
    result, splits = run(config, tmp_path / "a"), load_data(config)
    network = create("resnet8", 10, size=8, weights=tmp_path / "a" / "best.safetensors")
    held = [row["validation_top1"] for row in log(tmp_path / "a")]
    assert evaluate(network, splits.validation, data.default_augmentation(splits))["top1"] == max(held)
    assert result["best_epoch"] == 1 + held.index(max(held))


def test_without_images_held_out_no_epoch_is_the_best(digits, tmp_path):
    assert "best_epoch" not in run(small(epochs=1), tmp_path / "a", splits=digits)
    assert not (tmp_path / "a" / "best.safetensors").exists()


def test_the_best_epoch_survives_an_interruption(tmp_path, monkeypatch):
    config, accuracies = small(validation=0.25, epochs=4), [10.0, 30.0, 30.0, 20.0]
    said = iter(accuracies + accuracies)
    monkeypatch.setattr("selfdistill.train.trainer.evaluate_task", lambda *_: {"top1": next(said)})
    whole = run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", listener=StopAfter(3))
    assert untimed(run(config, tmp_path / "cut")) == untimed(whole)
    assert (tmp_path / "cut" / "best.safetensors").read_bytes() == (
        tmp_path / "whole" / "best.safetensors"
    ).read_bytes()


def test_a_finished_run_is_not_trained_again(digits, tmp_path):
    first = run(small("drg() + dsr()", epochs=1), tmp_path / "a", splits=digits)
    before = (tmp_path / "a" / "last.ckpt").stat().st_mtime_ns
    again = run(small("drg()+dsr( )", epochs=1), tmp_path / "a", listener=StopAfter(1), splits=digits)
    assert again == first
    assert (tmp_path / "a" / "last.ckpt").stat().st_mtime_ns == before


def test_another_configuration_needs_another_folder(digits, tmp_path):
    run(small(epochs=1), tmp_path / "a", splits=digits)
    with pytest.raises(UserError, match="a holds a run with another batch size and another lr; choose another --out"):
        run(small(epochs=1, lr=0.2, batch_size=16), tmp_path / "a", splits=digits)


def test_an_unfinished_run_can_be_refused(digits, tmp_path):
    with pytest.raises(Interrupted):
        run(small(), tmp_path / "a", splits=digits, listener=StopAfter(1))
    with pytest.raises(UserError, match=r"a holds this run, unfinished; continue it with --resume, or choose another"):
        run(small(), tmp_path / "a", splits=digits, resume=False)


def test_images_are_loaded_as_configured():
    asked = small(limit=100, validation=0.2, seed=3, size=12)
    found, want = load_data(asked), data.load("digits", limit=100, validation=0.2, seed=3, size=12)
    assert torch.equal(found.train.images, want.train.images)
    assert found.validation is not None
    assert (len(found.train), len(found.validation), found.train.size) == (80, 20, 12)


class Notes(Listener):
    def __init__(self):
        self.notes = []

    def on_note(self, text):
        self.notes.append(text)


def test_what_is_left_out_of_the_data_is_told_and_recorded(tmp_path):
    root = class_folders(tmp_path / "data", {"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 2})
    (root / "train" / "a" / "x.heic").write_bytes(b"another format")
    (root / "train" / "a" / "00.png").write_bytes(b"no image")
    config, notes = small(data=f"folder:{root}", limit=None, batch_size=4, epochs=1), Notes()
    with pytest.raises(UserError, match=r"cannot read the image .*00.png: .*, or pass --skip-unreadable"):
        run(config, tmp_path / "run", listener=notes)
    run(replace(config, skip_unreadable=True), tmp_path / "run", listener=notes)
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["images"] == {"train": 7, "test": 4}
    assert info["skipped"] == [str(root / "train" / "a" / "00.png")]
    assert info["left_out"] == notes.notes
    assert [note.split(" (")[0] for note in notes.notes] == [
        "left out 1 file",
        f"skipped 1 unreadable image: {info['skipped'][0]}",
    ]


def test_a_batch_too_small_for_a_term_is_refused_before_training(digits, tmp_path):
    with pytest.raises(UserError) as told:
        run(small("scd()", batch_size=1, size=32), tmp_path / "a")
    assert str(told.value) == (
        "scd() compares the rows of a batch (term 'similarity') and needs at least 2, but a batch has 1; "
        "pass a larger --batch-size"
    )
    assert not (tmp_path / "a").exists()


def test_a_device_that_is_not_there(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(
        UserError, match=r"cannot train on 1 device\(s\) of kind cuda: .*; try --accelerator auto or fewer --devices"
    ):
        run(small(accelerator="cuda"), tmp_path / "a", splits=digits)


def test_few_images_are_one_batch(digits, tmp_path):
    result = run(small("dsr()", batch_size=1000, epochs=1), tmp_path / "a", splits=digits)
    assert result["images_per_second"] == pytest.approx(200 / result["train_seconds"])
    assert result["step_ms"] == pytest.approx(1000 * result["train_seconds"])  # too few steps to time one
