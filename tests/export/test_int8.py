"""A file of 8 bits beside that of 32."""

import json

import onnx
import onnxruntime
import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.export import export, int8
from selfdistill.export.example import data_of
from selfdistill.metrics.model import predict_batches
from selfdistill.train.networks import load_run
from selfdistill.train.run import run
from tests.helpers.small_runs import command, tagging


@pytest.fixture(scope="module")
def quantized(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    return export(finished, "onnx", folder / "small.onnx", int8=True)


def test_weights_are_bytes(quantized):
    path = quantized.int8.path
    assert path == quantized.path.with_name("small.int8.onnx")
    kinds = {each.data_type for each in onnx.load(path).graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    assert path.stat().st_size < quantized.path.stat().st_size / 2


def test_top1_is_that_of_each_file(finished, quantized):
    student, info = load_run(finished)
    splits, augment = data_of(info, finished, ())
    found, session = quantized.int8.accuracy, onnxruntime.InferenceSession(str(quantized.int8.path))
    right = [0, 0]
    for (logits, labels), rows in zip(
        predict_batches(student, splits.test, augment, 64), torch.split(torch.arange(len(splits.test)), 64), strict=True
    ):
        images = augment.normalize(splits.test.images[rows]).numpy()
        small = torch.from_numpy(session.run(None, {"images": images})[0])
        right = [each + int((own.argmax(1) == labels).sum()) for each, own in zip(right, (logits, small), strict=True)]
    count = len(splits.test)
    assert (found.top1, found.int8_top1) == pytest.approx([100 * each / count for each in right])
    assert (found.images, found.calibrated_on) == (count, len(splits.train))
    assert str(found).startswith(f"top-1 {found.int8_top1:.2f}%, of 32 bits {found.top1:.2f}% (")


def test_the_file_describes_itself(quantized):
    beside = json.loads(quantized.int8.path.with_name("small.int8.onnx.json").read_text())
    assert beside["int8"] == quantized.int8.accuracy._asdict()
    assert beside["latency"]["ms"] == quantized.int8.latency.ms
    inside = onnxruntime.InferenceSession(str(quantized.int8.path)).get_modelmeta().custom_metadata_map
    assert json.loads(inside["classes"]) == beside["classes"]


def test_some_rows_are_evenly_spaced(finished):
    train = data_of(load_run(finished)[1], finished, ()).splits.train
    assert torch.equal(int8._some(train, 3).labels, train.labels[[0, (len(train) - 1) // 2, len(train) - 1]])
    assert len(int8._some(train, 10_000)) == len(train)


def test_what_cannot_be_quantized_is_refused(finished, tmp_path, capsys, monkeypatch):
    status, _, said = command(capsys, "export", finished, "--int8")
    assert status == 2
    assert "--int8 quantizes by ONNX Runtime, but the format is safetensors; pass --to onnx, or leave" in said
    run(tagging(epochs=1), tmp_path / "tags")
    with pytest.raises(UserError, match="compares top-1, which a run of the task 'tag' does not have; leave --int8"):
        export(tmp_path / "tags", "onnx", int8=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ONNX needs onnx, onnxscript, onnxruntime: pip install 'selfdistill\[onnx\]'"):
        export(finished, "onnx", tmp_path / "a.onnx", int8=True)
    assert not (tmp_path / "a.onnx").exists()
