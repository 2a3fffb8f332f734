"""Runs on data of the user's own, and their records, which import nothing by themselves."""

import json
import sys

import pytest

from selfdistill.cli import main
from selfdistill.errors import UserError
from selfdistill.export import export
from selfdistill.study import Grid

DATA = """
import numpy as np

DRAWS = np.random.default_rng(0)


def make():
    return {
        name: (DRAWS.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8), np.arange(count) % 2)
        for name, count in (("train", 16), ("test", 6))
    }
"""
TRAINED = ["--data", "own:my_data:make", "--model", "resnet8", "--epochs", "1", "--batch-size", "8"]
REFUSED = "names the data 'own:my_data:make', whose module is imported only if you name it: pass --modules my_data"


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_data.py").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_data", None)


def command(capsys, *words):
    try:
        status = main([str(each) for each in words]) or 0
    except SystemExit as error:
        status = error.code or 0
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize("words", [("evaluate", "runs/a"), ("predict", "runs/a")])
def test_a_run_is_read_with_the_module_that_the_user_names(own, capsys, words):
    status, _, error = command(capsys, "train", "ce()", *TRAINED, "--out", "runs/a")
    assert (status, error) == (0, "")
    assert json.loads((own / "runs/a/run.json").read_text())["data_fingerprint"]["count"] == 22
    sys.modules.pop("my_data")
    status, _, error = command(capsys, *words)
    assert status == 2
    assert REFUSED in error
    assert "my_data" not in sys.modules
    assert command(capsys, *words, "--modules", "my_data")[0] == 0


def test_a_record_of_tensors_does_not_import_when_exported(own, capsys):
    assert command(capsys, "train", "ce()", *TRAINED, "--out", "runs/a")[0] == 0
    path = own / "runs/a/run.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"mean": {"": [0.0] * 3}, "std": {"": [1.0] * 3}}))
    sys.modules.pop("my_data")
    with pytest.raises(UserError, match="names the data 'own:my_data:make'"):
        export("runs/a", "safetensors")
    assert "my_data" not in sys.modules


def test_a_study_is_reported_and_its_page_imports_only_what_is_named(own, capsys):
    options = ["--seeds", "1", "--metrics", "basic", "--out", "s", "--report"]
    status, _, error = command(capsys, "compare", "--methods", "ce()", "dsr()", *TRAINED, *options)
    assert (status, error) == (0, "")
    assert "whose module is imported" not in (own / "s/report.html").read_text()
    sys.modules.pop("my_data")
    assert command(capsys, "report", "s")[0] == 0
    assert "whose module is imported only if you name it" in (own / "s/report.html").read_text()
    assert "my_data" not in sys.modules


def test_a_grid_names_the_modules_of_data():
    assert Grid(["ce()"], data=["own:my_data:make", "digits"], seeds=[0]).modules == ("my_data",)


@pytest.mark.parametrize(("field", "way"), [("models", "MODULE:CALLABLE"), ("data", "own:MODULE:CALLABLE")])
def test_objects_in_a_grid_are_refused(field, way):
    with pytest.raises(UserError) as caught:
        Grid(["ce()"], **{field: [object()]})
    assert str(caught.value) == (
        f"{field} of a grid are texts, which a record can hold, but found object; write a text such as {way!r}"
    )
