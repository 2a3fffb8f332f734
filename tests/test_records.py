"""Records that are JSON, but not what was written: file, key, found and wanted are named."""

import json
import re

import pytest

from selfdistill.errors import UserError
from selfdistill.records import read_info, read_log, read_result
from selfdistill.study.layout import run_folder
from selfdistill.study.load import load, load_all, missing
from selfdistill.train.config import RunConfig
from tests.cli.test_cli import command
from tests.helpers.written_studies import write

GAINS = {"ce()": (0.0, 0.1), "dsr()": (0.4, 0.2)}


@pytest.fixture
def study(tmp_path):
    return write(tmp_path / "study", GAINS, seeds=2)


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def drop(path, key):
    path.write_text(json.dumps({name: each for name, each in json.loads(path.read_text()).items() if name != key}))


@pytest.mark.parametrize(
    ("file", "damage", "answer"),
    [
        ("result.json", lambda path: drop(path, "top1"), "top1 must be a number from 0 to 100, but is missing"),
        ("result.json", lambda path: change(path, nll=float("nan")), "NaN is not a JSON number"),
        ("result.json", lambda path: change(path, step_ms=0), "step_ms must be a number above 0, at most .*, but is 0"),
        ("result.json", lambda path: change(path, added_parameters=-1), "added_parameters must be a whole number from"),
        ("result.json", lambda path: change(path, top1=10**400), "top1 must be a number .*, but is a whole number of"),
        ("result.json", lambda path: change(path, seed=1), "result.json is of another run: seed must be 0, but is 1"),
        ("run.json", lambda path: path.write_text("[]"), r"an object is wanted, but the file holds \[\]"),
        ("run.json", lambda path: change(path, config=3), "config must be an object, but is 3"),
        (
            "run.json",
            lambda path: change(path, config={}),
            "method must be text, but is missing",
        ),
        ("run.json", lambda path: change(path, std=[0, 1, 1]), "std must be a list of numbers above 0"),
        ("run.json", lambda path: change(path, classes=3), "3 classes must have as many class_names, not 10"),
        ("run.json", lambda path: path.write_text("[" * 100_000), "it is nested too deeply"),
        ("run.json", lambda path: path.write_bytes(b"\xff\xfe"), "it is no UTF-8 text"),
        ("run.json", lambda path: path.unlink(), "there is no such file"),
        ("log.jsonl", lambda path: path.write_text("1\n2\n3\n"), "line 1 of .*: the whole must be an object, but is 1"),
        ("log.jsonl", lambda path: path.write_text('{"epoch": NaN}\n'), "line 1 of .*: NaN is not a JSON number"),
        ("log.jsonl", lambda path: path.write_text(path.read_text()[:-300]), "log.jsonl"),
    ],
)
def test_a_damaged_run_is_left_out_with_the_reason(study, capsys, file, damage, answer):
    damage(run_folder(study.folder, "ce()", 0) / file)
    found = load(study.folder)
    assert missing(found) == [("ce()", 0)]
    assert re.search(answer, found.left_out["ce()", 0])
    assert file in found.left_out["ce()", 0]
    status, _, err = command(capsys, "report", str(study.folder), "--no-pictures")
    assert status == 0
    assert err.startswith("selfdistill: left out ce(), seed 0: ")
    assert "1 of 4 runs have no result" in (study.folder / "report.html").read_text()


@pytest.mark.parametrize("key", ["epochs", "lr", "seed", "limit", "compile", "schedule"])
@pytest.mark.parametrize("value", ["two", [], {}, 10**400, -1, float("nan")])
def test_no_configuration_ends_in_another_error(key, value):
    values = RunConfig("ce()").to_json() | {key: value}
    with pytest.raises(UserError, match=r"^the configuration in run.json: "):
        RunConfig.from_json(values, "run.json")


def test_all_runs_left_out(study):
    for method in GAINS:
        for seed in range(2):
            drop(run_folder(study.folder, method, seed) / "result.json", "nll")
    with pytest.raises(UserError, match="no run of the study in .* can be read: .*result.json: nll must be"):
        load_all(study.folder)


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"seeds": [None]}, r"seeds\[0\] must be a whole number from 0 to"),
        ({"methods": []}, "methods must be a list of one method or more"),
        ({"epochs": {"other()": 3}}, r"'other\(\)' is not one of its methods"),
        ({"epochs": {"ce()": 3}}, r"compute of 'ce\(\)' is missing"),
        ({"base": []}, r"base must be an object, but is \[\]"),
    ],
)
def test_a_damaged_study(study, values, answer):
    change(study.folder / "study.json", **values)
    with pytest.raises(UserError, match=answer):
        load(study.folder)


def test_what_was_written_is_read(study):
    folder = run_folder(study.folder, "dsr()", 1)
    config = read_info(folder)["config"]
    assert read_result(folder, config)["seed"] == 1
    assert [row["epoch"] for row in read_log(folder, config["epochs"])] == [1, 2, 3]
    assert read_log(folder.parent, 3) == []
