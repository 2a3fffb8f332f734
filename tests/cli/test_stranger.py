"""Runs and studies that somebody else made: a name in their files runs nothing."""

import json

import pytest

from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.study.layout import run_folder
from selfdistill.train.config import RunConfig
from selfdistill.train.run import run
from tests.cli.test_cli import command

DATA = "fake:classes=2,size=8,train=16,test=8"
HERE = "tests.cli.test_stranger"


@method_constructor
def mine() -> Method:
    return Method()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger") / "run"
    run(RunConfig("ce()", data=DATA, epochs=1, batch_size=8, accelerator="cpu"), folder)
    return folder


@pytest.fixture
def stranger(made, tmp_path):
    """A study of one run, whose files name a command as the method."""
    method = f"os:mkdir('{tmp_path / 'executed'}')"
    study = tmp_path / "study"
    folder = run_folder(study, method, 0)
    folder.mkdir(parents=True)
    for each in made.iterdir():
        if each.is_file():
            (folder / each.name).write_bytes(each.read_bytes())
    rename(folder, method)
    base = json.loads((folder / "run.json").read_text())["config"]
    (study / "study.json").write_text(json.dumps({"methods": [method], "seeds": [0], "base": base}))
    yield study, folder
    assert not (tmp_path / "executed").exists()


def rename(folder, method):
    info = json.loads((folder / "run.json").read_text())
    info |= {"method": method, "resolved": method, "config": info["config"] | {"method": method}}
    (folder / "run.json").write_text(json.dumps(info))
    result = json.loads((folder / "result.json").read_text()) | {"method": method, "resolved": method}
    (folder / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize("words", [("evaluate",), ("export",), ("evaluate", "--metrics", "knn")])
def test_commands_that_need_no_method_work(capsys, stranger, words):
    name, *options = words
    status, _, err = command(capsys, name, str(stranger[1]), *options)
    assert (status, err) == (0, "")


@pytest.mark.parametrize("metrics", ["cost", "all"])
def test_the_cost_of_a_step_is_refused(capsys, stranger, metrics):
    status, _, err = command(capsys, "evaluate", str(stranger[1]), "--metrics", metrics)
    assert status == 2
    assert "of the module 'os', which is not imported for a name in a file; if you trust the module, pass --m" in err
    assert not (stranger[1] / "metrics.json").exists()


@pytest.mark.parametrize("options", [(), ("--modules", "os")])
def test_a_study_is_evaluated_without_its_names(capsys, stranger, options):
    status, _, err = command(capsys, "evaluate", str(stranger[0]), "--metrics", "cost", *options)
    assert status == 1
    assert ("is not called: it is not marked" if options else "is not imported for a name in a file") in err


def test_a_study_is_reported_without_its_names(capsys, stranger):
    status, _, err = command(capsys, "report", str(stranger[0]), "--no-pictures")
    assert (status, err) == (0, "")


def test_a_module_that_the_user_names_is_imported(capsys, made, tmp_path):
    for each in made.iterdir():
        if each.is_file():
            (tmp_path / each.name).write_bytes(each.read_bytes())
    rename(tmp_path, f"{HERE}:mine()")
    status, _, err = command(capsys, "evaluate", str(tmp_path), "--metrics", "cost")
    assert status == 2
    assert f"pass --modules {HERE}" in err
    status, out, err = command(capsys, "evaluate", str(tmp_path), "--metrics", "cost", "--modules", HERE)
    assert (status, err) == (0, "")
    assert "step_mib" in out


def test_a_users_own_grid_evaluates_its_own_methods(capsys, tmp_path):
    words = ("compare", "--methods", f"{HERE}:mine()", "--seeds", "1", "--data", DATA, "--epochs", "1")
    status, _, err = command(capsys, *words, "--batch-size", "8", "--metrics", "cost", "--out", str(tmp_path / "s"))
    assert (status, err) == (0, "")
