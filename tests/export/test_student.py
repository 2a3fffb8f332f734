"""A finished run in other formats, each read by its own program."""

import json
import shutil
import sys
from dataclasses import asdict, replace

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from selfdistill.errors import UserError
from selfdistill.export import export
from selfdistill.export.description import description
from selfdistill.export.formats import FORMATS
from selfdistill.models import create
from selfdistill.train.networks import load_run


@pytest.fixture(scope="module")
def shown(finished):
    student, _ = load_run(finished)
    images = torch.randn(5, 3, 8, 8)  # not the batch that was exported with
    with torch.no_grad():
        return images, student.eval()(images)


def test_safetensors_hold_the_models_own_keys(finished, shown, tmp_path):
    path, check, *_ = export(finished, "safetensors", tmp_path / "student.safetensors")
    assert check.difference == 0
    model = create("resnet8", 10)
    model.load_state_dict(load_file(path))
    assert torch.equal(model.eval()(shown[0]), shown[1])


def test_onnx_runs_with_any_batch(finished, shown, tmp_path):
    path, check, *_ = export(finished, "onnx", tmp_path / "deep" / "student.onnx")
    assert check.difference < 1e-4
    session = onnxruntime.InferenceSession(str(path))
    got = session.run(["logits"], {"images": shown[0].numpy()})[0]
    np.testing.assert_allclose(got, shown[1].numpy(), atol=1e-4)


def test_torch_export_runs_with_any_batch(finished, shown):
    path, check, *_ = export(finished, "torch-export")
    assert path == finished / "student.pt2"
    assert check.difference < 1e-4
    torch.testing.assert_close(torch.export.load(path).module()(shown[0]), shown[1])


def test_files_carry_classes_and_normalization(finished, tmp_path):
    info = json.loads((finished / "run.json").read_text())
    wanted = {"classes": info["class_names"], "mean": info["mean"], "std": info["std"], "size": [8, 8]}
    for form in ("safetensors", "onnx", "torch-export"):
        path = export(finished, form, tmp_path / form).path
        beside = json.loads((tmp_path / f"{form}.json").read_text())
        inside = metadata(path, form, beside)
        assert {key: beside[key] for key in wanted} == wanted
        assert {key: json.loads(inside[key]) for key in wanted} == wanted
        assert inside["task"] == beside["task"] == "classify"
        assert beside["inputs"] == {"images": ["batch", 3, 8, 8]}


def metadata(path, form, keys):
    """What a file's own program reads of its metadata."""
    if form == "onnx":
        return onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    if form == "safetensors":
        with safe_open(path, "pt") as file:
            return file.metadata()
    found = dict.fromkeys(keys, "")
    torch.export.load(path, extra_files=found)
    return found


def test_weights_of_the_run_stay_as_they_are(finished):
    before = (finished / "student.safetensors").read_bytes()
    path = export(finished, "safetensors").path
    assert (path, path.read_bytes()) == (finished / "student.safetensors", before)
    assert json.loads((finished / "student.safetensors.json").read_text())["interpolation"] == "bicubic"


def test_the_description_of_masks_says_which_sizes_fit():
    info = {"config": {"task": "segment", "model": "unet-4"}, "class_names": ["a"], "method": "ce()", "size": 16}
    info |= {"sides": [16, 24], "mean": [0.5] * 3, "std": [0.2] * 3}
    inputs = {"images": torch.zeros(3, 3, 16, 24)}
    for fixed, words in ((True, "this height and width only"), (False, "in any size")):
        found = description(info, inputs, fixed_size=fixed)
        assert words in found["crop"]
        assert (found["size"], found["interpolation"], found["channels"]) == ([16, 24], "bilinear", 3)


def test_the_description_of_tensors_has_no_size():
    info = {"config": {"model": "own:net"}, "class_names": ["a"], "method": "ce()", "mean": {"": [0.5]}}
    found = description(info | {"std": {"": [1.0]}}, {"inputs": torch.zeros(3, 2, 64)}, fixed_size=True)
    assert found["inputs"] == {"inputs": ["batch", 2, 64]}
    assert not found.keys() & {"size", "crop", "interpolation", "channels"}


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


def test_real_images_are_checked_and_latency_is_measured(finished, tmp_path):
    _, check, latency, _ = export(finished, "safetensors", tmp_path / "a")
    assert str(check).startswith("logits of test images of digits differ by 0.0e+00 at most (tolerance ")
    beside = json.loads((tmp_path / "a.json").read_text())
    assert beside["check"] == check._asdict()
    assert beside["latency"] == asdict(latency)
    assert latency.ms > 0 < latency.eager_ms
    assert (latency.warm_up, latency.threads) == (latency.count // 5, torch.get_num_threads())


def test_unreadable_data_are_told(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    info["config"]["data"] = f"folder:{tmp_path}/gone"
    (tmp_path / "run" / "run.json").write_text(json.dumps(info))
    check = export(tmp_path / "run", "safetensors").check
    assert check.inputs.startswith("random numbers, as no test image can be read (")
    assert f"{tmp_path}/gone" in check.inputs


@pytest.mark.parametrize("wrong", [1.0, float("nan")])
def test_other_logits_are_an_error_and_leave_the_old_file(finished, tmp_path, monkeypatch, wrong):
    form = FORMATS["safetensors"]
    changed = replace(form, read=lambda student, path: lambda inputs: student(inputs) + wrong)
    monkeypatch.setitem(FORMATS, "safetensors", changed)
    (tmp_path / "a").write_text("old")
    with pytest.raises(UserError, match=f"{tmp_path}/a would not be the student: logits of test images of digits diff"):
        export(finished, "safetensors", tmp_path / "a")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
