"""A transformer fine-tuned on image files by random crops, a policy, AdamW, layer decay and SAM at once."""

import pytest
from safetensors.torch import load_file

from selfdistill.train.run import run
from tests.helpers.image_files import class_folders
from tests.helpers.processes import command
from tests.helpers.small_runs import CutAt, Interrupted, log, small, weights

NEAR = 1e-5  # mean difference of weights; AdamW divides the smallest gradients by their own size, rounding too


@pytest.fixture
def config(tmp_path):
    class_folders(tmp_path / "data", {"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2}, size=40)
    return {
        "data": f"folder:{tmp_path}/data",
        "model": "timm/test_vit",
        "size": 32,
        "augment": "imagenet:randaugment",
        "optimizer": "adamw",
        "lr": 1e-3,
        "layer_decay": 0.75,
        "sam": 0.05,
        "epochs": 2,
        "limit": None,
        "batch_size": 4,
    }


@pytest.mark.parametrize("method", ["csd()", "ema() + kd(teacher='ema')"])
def test_a_cut_in_an_epoch_changes_nothing(tmp_path, config, method):
    run(small(method, **config), tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(small(method, **config), tmp_path / "cut", listener=CutAt(4), save_every=0.0)
    run(small(method, **config, decode_workers=1), tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_are_one(tmp_path, config):
    options = [f"--{key.replace('_', '-')}={value}" for key, value in config.items() if key != "limit"]
    for devices in (1, 2):
        words = ["train", "ce()", *options, "--accelerator=cpu", f"--devices={devices}", f"--out={tmp_path}/{devices}"]
        process = command(*words)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in "12")
    assert one.keys() == two.keys()
    assert max((one[key] - two[key]).abs().mean() for key in one) < NEAR
    first, second = (log(tmp_path / name) for name in "12")
    assert [row["losses"]["task"] for row in second] == pytest.approx(
        [row["losses"]["task"] for row in first], rel=1e-4
    )
