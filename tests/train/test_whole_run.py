"""A run from configuration to folder: repeatable, resumable, whole."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from selfdistill import data
from selfdistill.errors import UserError
from selfdistill.models import create
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.monitor.progress import EpochLines, progress_for
from selfdistill.train.networks import load_run
from selfdistill.train.persist import checkpoint
from selfdistill.train.run import run

CONFIG = RunConfig("ce()", limit=200, epochs=3, batch_size=32)
SPLITS = data.load("digits", limit=200)


def train(folder, method="ce()", **options):
    config = replace(CONFIG, method=method, **{k: v for k, v in options.items() if k in RunConfig.__dataclass_fields__})
    rest = {k: v for k, v in options.items() if k not in RunConfig.__dataclass_fields__}
    return run(config, folder, splits=SPLITS, **rest)


def weights(folder):
    return load_file(folder / "student.safetensors")


def same(one, other):
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


class Stop(Exception):
    pass


class StopAfter(Listener):
    """Somebody pulls the plug after an epoch."""

    def __init__(self, epoch):
        self.last = epoch

    def on_epoch(self, row):
        if row["epoch"] == self.last:
            raise Stop


METHODS = ["ce()", "scd() + lightskd() + csd()", "mixup()", "stkd()"]


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_run_goes_on_bitwise(tmp_path, method):
    whole = train(tmp_path / "whole", method)
    with pytest.raises(Stop):
        train(tmp_path / "cut", method, listener=StopAfter(2), teachers=tmp_path / "teachers")
    with pytest.raises(UserError, match="holds this run, unfinished; continue it with --resume"):
        train(tmp_path / "cut", method, resume=False)
    rest = train(tmp_path / "cut", method)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    timed = {"step_ms", "images_per_second", "train_seconds", "seconds"}
    assert {k: v for k, v in whole.items() if k not in timed} == {k: v for k, v in rest.items() if k not in timed}
    logs = [(tmp_path / each / "log.jsonl").read_text().splitlines() for each in ("whole", "cut")]
    losses = [[json.loads(line)["losses"] for line in log] for log in logs]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3


def test_a_run_is_repeatable_and_seeds_differ(tmp_path):
    for name in ("one", "other"):
        train(tmp_path / name, "drg() + csd()")
    assert same(weights(tmp_path / "one"), weights(tmp_path / "other"))
    train(tmp_path / "third", "drg() + csd()", seed=1)
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "third"))


def test_the_folder_holds_all_there_is_to_know(tmp_path):
    result = train(tmp_path / "run", "lightskd()", validation=0.2)
    assert {each.name for each in (tmp_path / "run").iterdir()} >= {
        "run.json",
        "log.jsonl",
        "last.ckpt",
        "previous.ckpt",
        "student.safetensors",
        "result.json",
    }
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert RunConfig.from_json(facts["config"]).method == "lightskd()"
    assert facts["resolved"].startswith("drg(tap='stage2', alpha=0.2")
    assert facts["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert set(weights(tmp_path / "run")) == set(create("resnet8", 10).state_dict())
    assert result["added_parameters"] > 0
    assert result["parameters"] == sum(each.numel() for each in create("resnet8", 10).parameters())
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert set(rows[0]["losses"]) == {"task", "guidance.learn", "guidance.mimic", "shape"}


def test_the_student_in_the_folder_is_the_one_measured(tmp_path):
    result = train(tmp_path / "run", "ce()", epochs=4)
    student, _ = load_run(tmp_path / "run")
    normalise = data.default_augmentation(SPLITS).normalize
    with torch.no_grad():
        right = student.eval()(normalise(SPLITS.test.images)).argmax(dim=1) == SPLITS.test.labels
    assert result["top1"] == pytest.approx(100 * right.double().mean().item())


def test_validation_is_measured_after_each_epoch(tmp_path):
    splits = data.load("digits", limit=200, validation=0.2)
    result = run(replace(CONFIG, validation=0.2), tmp_path / "run", splits=splits)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert result["best_validation_top1"] == max(row["validation_top1"] for row in rows)
    assert result["validation_top1"] == rows[-1]["validation_top1"]


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = train(tmp_path / "run")
    stamp = (tmp_path / "run" / "student.safetensors").stat().st_mtime_ns
    assert train(tmp_path / "run") == first
    assert (tmp_path / "run" / "student.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match="holds a run with another epochs and another seed; choose another --out"):
        train(tmp_path / "run", epochs=9, seed=4)


def test_a_teacher_is_trained_first_and_kept(tmp_path):
    train(tmp_path / "a", "kd()")
    (teacher,) = (tmp_path / "teachers").iterdir()
    stamp = (teacher / "result.json").stat().st_mtime_ns
    train(tmp_path / "b", "stkd()")
    assert list((tmp_path / "teachers").iterdir()) == [teacher]
    assert (teacher / "result.json").stat().st_mtime_ns == stamp
    by_name = train(tmp_path / "c", f"kd(teacher={str(teacher)!r})")
    assert by_name["top1"] == json.loads((tmp_path / "a" / "result.json").read_text())["top1"]
    state = checkpoint.read(tmp_path / "a" / "last.ckpt")
    assert not any("teacher" in key for key in state["student"] | state["terms"])


def test_a_larger_teacher_is_trained_first(tmp_path):
    train(tmp_path / "a", "kd(teacher='resnet14')", epochs=1)
    (teacher,) = (tmp_path / "teachers").iterdir()
    assert teacher.name.startswith("resnet14-")


@pytest.mark.parametrize(
    ("method", "options", "answer"),
    [
        ("kd(teacher='runs/nowhere')", {}, "the teacher 'runs/nowhere' is neither the folder of a run nor a model"),
        ("kd(teacher='resnet9')", {}, "the teacher 'resnet9' is neither the folder of a run nor a model"),
        (
            "scd()",
            {"batch_size": 1},
            r"scd\(\) compares the rows of a batch .* a batch has 1; pass a larger --batch-size",
        ),
        ("ce()", {"lr": 1e6, "epochs": 2}, "the loss of the term 'task' of .* became .* in epoch .*; try a lower --lr"),
        ("csd()", {"classifier": "layer1"}, "no module 'layer1' that outputs logits"),
    ],
)
def test_mistakes_are_answered(tmp_path, method, options, answer):
    with pytest.raises(UserError, match=answer):
        train(tmp_path / "run", method, **options)


def test_a_teacher_of_other_classes_is_refused(tmp_path):
    train(tmp_path / "ten")
    other = data.load("fake:classes=4,size=8")
    config = replace(CONFIG, method=f"kd(teacher={str(tmp_path / 'ten')!r})", data="fake:classes=4,size=8", limit=None)
    with pytest.raises(UserError, match="has 10 classes, but fake:classes=4,size=8 has 4"):
        run(config, tmp_path / "four", splits=other)


def test_bf16_trains(tmp_path):
    assert train(tmp_path / "run", "scd() + lightskd() + csd()", precision="bf16")["top1"] > 5


def test_weights_from_a_file_are_the_start(tmp_path):
    train(tmp_path / "first", epochs=5)
    file = str(tmp_path / "first" / "student.safetensors")
    on = train(tmp_path / "second", weights=file, epochs=1, lr=1e-6)
    first = json.loads((tmp_path / "first" / "result.json").read_text())
    assert abs(on["top1"] - first["top1"]) < 10


def test_what_a_person_sees(tmp_path):
    from rich.console import Console

    console = Console(width=200, record=True, force_terminal=False)
    assert isinstance(progress_for(console), EpochLines)
    train(tmp_path / "run", "drg()", listener=progress_for(console))
    text = console.export_text()
    assert text.count("epoch ") == 3
    assert "task " in text
    assert "guidance.learn " in text
    assert "train top-1 " in text
    assert "images/s" in text


def test_the_bar_on_a_terminal(tmp_path):
    from rich.console import Console

    console = Console(width=200, force_terminal=True, file=(tmp_path / "shown").open("w"))
    train(tmp_path / "run", "drg()", listener=progress_for(console))
    console.file.close()
    shown = (tmp_path / "shown").read_text()
    assert "epoch 3" in shown
    assert "images/s" in shown
