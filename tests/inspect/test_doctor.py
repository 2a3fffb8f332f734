import pytest
import torch

from selfdistill.inspect import doctor
from selfdistill.inspect.doctor import check
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import LossTerm
from selfdistill.train import preflight
from tests.helpers.image_files import class_folders
from tests.helpers.small_runs import small


def test_a_valid_run_passes_all_checks(tmp_path):
    found = check(small("lightskd() + kd()"), tmp_path)
    assert all(each.ok for each in found)
    words = {each.check: each.words for each in found}
    assert list(words) == [
        "data",
        "input",
        "model",
        "passes",
        "taps",
        "heads",
        "remembers",
        "needs",
        "teacher",
        "batches",
        "step",
        "memory",
        "disk",
    ]
    assert words["data"] == ("200 training, 359 test images, 8x8 pixels; 10 classes with 20 to 20 training images each")
    assert words["model"] == "resnet8, 78,042 parameters; layer1, layer2, layer3; classifier"
    assert words["passes"] == "anchor (grad) · teacher (no grad): 2 forward, 1 backward"
    assert words["teacher"] == "resnet8 with ce(), trained first if it does not exist yet"
    assert words["batches"] == "6 steps per epoch, batch size 32, 2 epochs"
    assert "guidance.learn" in words["step"]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "name", "answer"),
    [
        ({"data": "folder:/nowhere"}, "data", "there is no folder '/nowhere'"),
        ({"data": "digits", "limit": 5}, "data", "cannot hold one of each of 10 classes"),
        ({"model": "resnet21"}, "model", "there is no model 'resnet21'"),
        ({"model": "mobilenetv2"}, "model", "too small for mobilenetv2"),
        ({"method": "drgg()"}, "method", "there is no method 'drgg'"),
        ({"method": "drg(tap='stage9')"}, "method", "nothing to tap at 'stage9'"),
        ({"method": "kd(teacher='runs/nobody')"}, "method", "neither the folder of a run nor a model"),
        ({"method": "scd()", "batch_size": 1}, "batches", "needs at least 2, but a batch has 1"),
        ({"method": "tests.inspect.test_doctor:lost()"}, "step", "lost.head.weight gets no gradient in the first step"),
        ({"method": "tests.inspect.test_doctor:endless()"}, "step", "a non-finite loss: task"),
    ],
)
def test_the_first_failure_is_reported_and_ends_the_checks(config, name, answer):
    *fine, last = check(small(**{"text": config.pop("method", "ce()")} | config))
    assert all(each.ok for each in fine)
    assert (last.check, last.ok) == (name, False)
    assert answer in last.words


def remarks(root, **config):
    found = check(small(data=f"folder:{root}", limit=None, batch_size=8, **config), root / "runs")
    assert all(each.ok for each in found)
    return [each.words for each in found if each.remark]


def test_classes_with_few_images_or_none_to_test_are_remarked(tmp_path):
    class_folders(tmp_path, {"train/a": 4, "train/b": 5, "train/c": 3, "train/d": 6, "test/a": 1, "test/b": 1})
    assert remarks(tmp_path) == [
        "2 of 4 classes (a, c) have fewer than 5 training images; add some, or remove the class",
        "2 of 4 classes (c, d) have no test image, so they are not measured; add some",
    ]


def test_files_that_are_left_out_are_remarked(tmp_path):
    class_folders(tmp_path, {f"{split}/{name}": 5 for split in ("train", "test") for name in "abcde"})
    assert remarks(tmp_path) == []
    (tmp_path / "train" / "a" / "x.heic").write_bytes(b"another format")
    (tmp_path / "test" / "a" / "00.png").write_bytes(b"no image")
    left, skipped = remarks(tmp_path, skip_unreadable=True)
    assert left.startswith("left out 1 file (1 .heic)")
    assert skipped.startswith("skipped 1 unreadable image: ")


def test_too_little_space_fails_only_its_check(monkeypatch):
    monkeypatch.setattr(preflight, "free_memory", lambda: 1000)
    assert [each.check for each in check(small()) if not each.ok] == ["memory"]


def test_a_batch_larger_than_the_data_is_reported():
    words = {each.check: each.words for each in check(small(batch_size=500))}
    assert words["batches"] == "1 steps per epoch, batch size 200, less than the requested 500, 2 epochs"


def test_one_of_several_processes_is_checked():
    words = {each.check: each.words for each in check(small(batch_size=64, devices=2))}
    assert words["batches"] == "3 steps per epoch, batch size 64, 2 epochs"
    assert words["memory"].startswith("a batch of 32 needs")


class Lost(LossTerm):
    """Makes a head that its loss does not use."""

    def build(self, context):
        self.head = torch.nn.Linear(2, 2)

    def loss(self, seen):
        return seen.logits.sum() * 0


class Endless(LossTerm):
    """Is no number."""

    def loss(self, seen):
        return seen.logits.sum() / 0


@method_constructor
def lost():
    return Method({"lost": Lost()})


@method_constructor
def endless():
    return Method({"endless": Endless()})


def test_compilation_is_advised_for_a_long_run(tmp_path, monkeypatch):
    assert not [each for each in check(small(), tmp_path) if each.check == "compile"]
    (long,) = [each for each in check(small(epochs=10**8), tmp_path) if each.check == "compile"]
    assert (long.ok, long.remark) == (True, True)
    assert "hours, long enough for --compile" in long.words
    monkeypatch.setattr(doctor, "LONG", 0.0)
    (short,) = [each for each in check(small(steps=1), tmp_path) if each.check == "compile"]
    assert short.words.startswith("the run takes about 0.0 hours")
