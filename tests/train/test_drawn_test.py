"""A run whose test set is drawn: its records have the share, and other data have their own test set."""

from dataclasses import replace

import pytest

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.predict import predict
from selfdistill.train.config import RunConfig
from selfdistill.train.run import load_data, run, with_data
from tests.helpers.image_files import class_folders


def config(root, **changes):
    return RunConfig(
        "ce()", **{"data": f"folder:{root}", "model": "resnet8", "epochs": 1, "batch_size": 8, "test": 0.25} | changes
    )


def test_the_share_is_recorded_and_read_again(tmp_path):
    root = class_folders(tmp_path / "images", {"ant": 12, "cat": 12})
    result = run(config(root), tmp_path / "a")
    info = read_json(tmp_path / "a" / "run.json")
    assert info["config"]["test"] == 0.25
    assert info["images"] == {"train": 18, "test": 6}
    (table,) = predict(tmp_path / "a")
    assert len(table.read_text().splitlines()) == 7
    assert 0 <= result["top1"] <= 100


def test_other_data_have_their_own_test_set(tmp_path):
    flat = class_folders(tmp_path / "flat", {"ant": 12, "cat": 12})
    whole = class_folders(
        tmp_path / "whole", {f"{split}/{c}": 4 for split in ("train", "test") for c in ("ant", "cat")}
    )
    assert len(load_data(with_data(config(flat), 8, f"folder:{whole}")).test) == 8


def test_a_record_without_the_field_has_no_share():
    values = RunConfig("ce()").to_json()
    assert values.pop("test") == 0.0
    assert RunConfig.from_json(values) == RunConfig("ce()")


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_the_share_lies_below_one(tmp_path, share):
    with pytest.raises(UserError, match="test must be a fraction from 0 to below 1"):
        replace(config(tmp_path), test=share)


def test_masks_draw_their_own():
    with pytest.raises(UserError, match="shapes:segment.* has its own test part, so --test has nothing to draw"):
        load_data(RunConfig("ce()", data="shapes:segment,size=8,train=4,test=2", test=0.2))
