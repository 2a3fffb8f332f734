"""Predictions of files of arrays by runs on tensors."""

import csv

import numpy as np
import pytest

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.predict import predict_images
from tests.helpers.small_runs import command


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_arrays(four, arrays, tmp_path, capsys):
    out = tmp_path / "o.csv"
    status, said, _ = command(capsys, "predict", four, arrays, "--out", out, "--device", "cpu")
    assert (status, said) == (0, f"{out}: 60 examples\n")
    rows, finished = table(out), sd.load(four)
    assert [*rows[0]] == ["path", "row", "predicted", "probability", "top2", "top2_probability", "negative_energy"]
    shares = finished.predict(np.load(arrays)["x"])
    for number, (row, share) in enumerate(zip(rows, shares, strict=True)):
        assert (row["path"], row["row"]) == (str(arrays), str(number))
        assert row["predicted"] == finished.classes[share.argmax()]
        assert float(row["probability"]) == pytest.approx(float(share.max()), abs=1e-5)


def test_channels_last_and_a_named_array(four, arrays, tmp_path):
    values = np.load(arrays)["x"]
    np.savez(tmp_path / "b.npz", photos=values.transpose(0, 2, 3, 1), other=np.arange(60))
    wanted = table(predict_images(four, [arrays], tmp_path / "a.csv").path)
    found = table(predict_images(four, [f"{tmp_path}/b.npz?input=photos&channels=last"], tmp_path / "b.csv").path)
    assert [row["probability"] for row in found] == [row["probability"] for row in wanted]


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("{here}/a.npz", r"this run reads values of shape \[4, …\], but found a float32 .*, b float32 values"),
        ("{here}/a.npz?input=a", r"reads values of shape \[4, …\], but found float32 values of shape \[3, 8, 8\]"),
        ("{here}/a.npz?input=c", "has no array c; name them by .input=NAME, of a, b, y"),
        ("{here}/d.npz", "the arrays a, b of '.*d.npz' differ in rows; choose some by .input=NAME"),
        ("{here}/a.png", "is no .npz or .safetensors file; save the arrays with np.savez or safetensors"),
    ],
)
def test_mistakes_are_answered(four, tmp_path, place, wrong):
    zeros = np.zeros((2, 3, 8, 8), np.float32)
    np.savez(tmp_path / "a.npz", a=zeros, b=zeros, y=np.zeros(2, np.int64))
    np.savez(tmp_path / "d.npz", a=zeros, b=zeros[:1])
    with pytest.raises(UserError, match=wrong):
        predict_images(four, [place.format(here=tmp_path)], tmp_path / "o.csv")
    assert not (tmp_path / "o.csv").exists()


def test_views_are_of_images(four, arrays):
    with pytest.raises(UserError, match="--tta flip is of images, but this run was trained on tensors; leave it out"):
        predict_images(four, [arrays], tta="flip")


def test_test_examples_on_a_device(four, capsys, tmp_path):
    status, said, _ = command(capsys, "predict", four, "--device", "cpu", "--out", tmp_path)
    assert (status, said) == (0, f"{tmp_path}/predictions.csv\n")
    status, _, said = command(capsys, "predict", four, "--device", "cuda:99")
    assert status == 2
    assert "cannot predict on 'cuda:99'; this machine has auto, cpu" in said
