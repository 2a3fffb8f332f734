"""A finished run in other formats, each read by its own program."""

import sys

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from selfdistill import data
from selfdistill.errors import UserError
from selfdistill.export import export
from selfdistill.models import create
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import load_run
from selfdistill.train.run import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = RunConfig("drg() + csd()", limit=100, epochs=1, batch_size=32)
    run(config, folder, splits=data.load("digits", limit=100))
    return folder


@pytest.fixture(scope="module")
def shown(finished):
    student, _ = load_run(finished)
    images = torch.randn(5, 3, 8, 8)  # not the batch that was exported with
    with torch.no_grad():
        return images, student.eval()(images)


def test_safetensors_hold_the_models_own_keys(finished, shown, tmp_path):
    path, gap = export(finished, "safetensors", tmp_path / "student.safetensors")
    assert gap == 0
    model = create("resnet8", 10)
    model.load_state_dict(load_file(path))
    assert torch.equal(model.eval()(shown[0]), shown[1])


def test_onnx_runs_with_any_batch(finished, shown, tmp_path):
    path, gap = export(finished, "onnx", tmp_path / "deep" / "student.onnx")
    assert gap < 1e-4
    session = onnxruntime.InferenceSession(str(path))
    got = session.run(["logits"], {"images": shown[0].numpy()})[0]
    np.testing.assert_allclose(got, shown[1].numpy(), atol=1e-4)


def test_torch_export_runs_with_any_batch(finished, shown):
    path, gap = export(finished, "torch-export")
    assert path == finished / "student.pt2"
    assert gap < 1e-4
    torch.testing.assert_close(torch.export.load(path).module()(shown[0]), shown[1])


def test_mistakes_are_answered(finished, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="there is no format 'tflite'; there are safetensors, onnx, torch-export"):
        export(finished, "tflite")
    with pytest.raises(UserError, match=r"holds no run \(no run.json\)"):
        export(tmp_path, "onnx")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"is not finished \(no student.safetensors\)"):
        export(tmp_path, "onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ONNX needs onnx, onnxscript, onnxruntime: pip install 'selfdistill\[onnx\]'"):
        export(finished, "onnx")
