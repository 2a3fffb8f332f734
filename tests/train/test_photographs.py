"""A run on image files with random resized crops and a policy: threads and a cut change nothing."""

import pytest

from selfdistill.train.run import run
from tests.helpers.image_files import class_folders
from tests.helpers.small_runs import CutAt, Interrupted, log, small, weights


@pytest.fixture
def config(tmp_path):
    class_folders(tmp_path / "data", {"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2}, size=24)
    return {
        "data": f"folder:{tmp_path}/data",
        "size": 16,
        "augment": "imagenet:randaugment",
        "erase": 0.5,
        "epochs": 2,
        "limit": None,
        "batch_size": 4,
    }


def test_threads_change_nothing(tmp_path, config):
    for workers in (0, 4):
        run(small("ce()", **config, decode_workers=workers), tmp_path / f"{workers}")
    assert weights(tmp_path / "0") == weights(tmp_path / "4")


@pytest.mark.parametrize("method", ["ddgsd()", "mlkd(view='strong')"])
def test_a_cut_in_an_epoch_changes_nothing(tmp_path, config, method):
    run(small(method, **config), tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(small(method, **config), tmp_path / "cut", listener=CutAt(2), save_every=0.0)
    run(small(method, **config, decode_workers=0), tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
