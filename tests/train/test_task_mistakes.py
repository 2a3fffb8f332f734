"""What runs of other tasks, of other data and of networks of one's own refuse."""

import csv
import json
import sys

import numpy as np
import pytest

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.predict import predict
from selfdistill.train.config import RunConfig
from selfdistill.train.run import run
from tests.helpers.small_runs import command, segmenting, tagging

MARK = "from pathlib import Path\nPath('imported').touch()\ndef network(classes):\n    return None\n"


@pytest.fixture
def module(own):
    """Write a module of networks."""
    yield lambda text: (own / "their_networks.py").write_text(text)
    sys.modules.pop("their_networks", None)


@pytest.mark.parametrize("method", ["kd(teacher='their_networks:network')", "dml(peer='their_networks:network')"])
def test_a_record_imports_no_module(method, own, module, capsys):
    module(MARK)
    run(RunConfig("ce()", epochs=1, limit=64), "a")
    for name in ("run.json", "result.json"):
        text = (own / "a" / name).read_text().replace('"ce()"', json.dumps(method))
        (own / "a" / name).write_text(text)
    status, _, error = command(capsys, "evaluate", "a", "--metrics", "cost")
    assert status == 2
    assert "names the model 'their_networks:network', whose module is imported only if you name it" in error
    assert not (own / "imported").exists()


@pytest.mark.parametrize(
    "text", ["def network(classes):\n    raise RuntimeError('no')\n", "def network(:\n", "import missing_library\n"]
)
def test_a_network_that_cannot_be_made_is_an_error_in_words(text, module, capsys):
    module(text)
    words = ["--data", "tensors:signals.npz", "--model", "their_networks:network", "--epochs", "1"]
    status, _, error = command(capsys, "train", "ce()", *words)
    assert status == 2
    assert error.startswith(("selfdistill: the model 'their", "selfdistill: cannot import the model 'their"))


def test_a_network_of_another_width_is_refused_before_training(module):
    module("import my_networks\ndef network(classes):\n    return my_networks.network(classes + 2)\n")
    config = RunConfig("ce()", data="tensors:signals.npz", model="their_networks:network", epochs=1)
    with pytest.raises(UserError, match="their_networks:network gives 5 logits, but tensors:signals.npz has 3 classes"):
        run(config, "a")


def test_a_teacher_is_of_the_same_task(tmp_path):
    run(tagging(epochs=1), tmp_path / "tags")
    config = RunConfig(f"kd(teacher={str(tmp_path / 'tags')!r})", data="fake:classes=7,size=16,train=32", epochs=1)
    with pytest.raises(UserError, match="was trained for the task 'tag', but .* is of the task 'classify'"):
        run(config, tmp_path / "b")


def test_predictions_and_metrics_read_other_data_alike(tmp_path, capsys):
    run(RunConfig("ce()", data="digits", limit=64, epochs=1), tmp_path / "a")
    other = "fake:classes=10,size=16,test=40"
    (path,) = predict(tmp_path / "a", data=other)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert command(capsys, "evaluate", tmp_path / "a", "--data", other, "--metrics", "accuracy")[0] == 0
    (stored,) = (tmp_path / "a").glob("metrics-*.json")
    assert read_json(stored)["metrics"]["accuracy"]["top1"] == pytest.approx(100 * right / len(rows))


def test_predictions_of_an_earlier_call_are_removed(tmp_path):
    run(segmenting(epochs=1), tmp_path / "a")
    assert len(predict(tmp_path / "a")) == 6
    for count in (4, 2):
        fewer = predict(tmp_path / "a", data=f"shapes:segment,size=16,train=24,test={count}")
        assert len(list(fewer[0].parent.glob("*.png"))) == count
    assert len(list((tmp_path / "a" / "predictions").glob("*.png"))) == 6


def test_images_in_tensors_train_a_network_of_this_package(own):
    draws = np.random.default_rng(0)
    images, labels = draws.normal(size=(40, 3, 16, 16)).astype("float32"), draws.integers(0, 3, 40)
    np.savez(own / "images.npz", x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    run(RunConfig("ce()", data="tensors:images.npz", epochs=1, batch_size=16), "a")
    answer = r"resnet8 takes images \[C, H, W\], but an example of tensors:signals.npz is float32 \[2, 16\]"
    with pytest.raises(UserError, match=answer):
        run(RunConfig("ce()", data="tensors:signals.npz", epochs=1, batch_size=16), "b")


def test_a_test_set_without_a_tag_is_refused_before_training(own):
    draws = np.random.default_rng(0)
    table, tags = draws.normal(size=(40, 4)).astype("float32"), draws.integers(0, 2, (40, 3)).astype("float32")
    np.savez(own / "tags.npz", x_train=table, y_train=tags, x_test=table[:9], y_test=0 * tags[:9])
    with pytest.raises(UserError, match="no test example of tensors:tags.npz has a label"):
        run(RunConfig("ce()", data="tensors:tags.npz", model="my_networks:network", epochs=1), "a")
