"""The commands on the page reproduce their runs."""

import shlex
from dataclasses import replace

import pytest

from selfdistill.cli.app import main
from selfdistill.files import read_json
from selfdistill.report.html.config_diff import common_value, differences, resolved_methods
from selfdistill.report.runs import runs_of
from selfdistill.report.text.commands import compare_command, has_default_seeds, options, train_command
from selfdistill.study import compare
from selfdistill.study.load import load
from selfdistill.train.config import RunConfig
from tests.helpers.written_studies import BASE, write

ODD = RunConfig(
    "ce()",
    limit=100,
    epochs=1,
    batch_size=32,
    lr=0.05,
    nesterov=False,
    schedule="step",
    milestones=(0.4, 0.8),
    validation=0.2,
)


def do(command):
    with pytest.raises(SystemExit, match="^0$"):
        main(shlex.split(command)[1:])


def test_commands_reproduce_the_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = compare(["ce()", "drg(alpha=0.1) + dsr()"], ODD, range(2), "a study")
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    do(compare_command(load("a study")))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == stamps
    assert load("a study").base == made.base
    run = runs_of(made)["drg(alpha=0.1) + dsr()"][1]
    do(train_command(run))
    (again,) = (path for path in tmp_path.glob("*seed1/result.json"))
    for name in ("top1", "nll", "seed", "resolved"):
        assert read_json(again)[name] == run.result[name]


def test_default_options_are_omitted():
    assert options(RunConfig("ce()")) == ["--data", "digits", "--model", "resnet8", "--epochs", "20"]
    assert options(replace(BASE, nesterov=False, pretrained=True, milestones=(0.3,)))[6:] == [
        "--no-nesterov",
        *("--milestones", "0.3"),
        *("--validation", "0.1"),
        "--pretrained",
    ]


def test_other_seeds_than_0_to_n(tmp_path):
    study = write(tmp_path)
    assert has_default_seeds(study)
    study.seeds = (1, 2)
    assert not has_default_seeds(study)


def test_fields_that_differ(tmp_path):
    def facts(method, seed):
        config = BASE.to_json() | {"method": method, "seed": seed}
        return {"config": config | ({"warmup": 2} if method == "csd()" else {}), "commit": "aaa" if seed else "bbb"}

    study = write(tmp_path, facts=facts)
    runs = runs_of(study)
    (warmup,) = differences(study, runs)
    assert (warmup.name, warmup.planned) == ("warmup", "0")
    assert warmup.by_method["csd()"] == "2"
    assert {value for method, value in warmup.by_method.items() if method != "csd()"} == {"0"}
    assert common_value(runs, "commit") == "bbb or aaa"
    assert resolved_methods(runs)["csd()"] == "csd(weight=1.0)"


def test_nothing_differs(tmp_path):
    study = write(tmp_path)
    assert differences(study, runs_of(study)) == []


def test_all_runs_can_differ_from_what_study_json_says(tmp_path):
    study = write(tmp_path, facts=lambda method, seed: {"config": BASE.to_json() | {"lr": 0.5}})
    (lr,) = differences(study, runs_of(study))
    assert (lr.name, lr.planned, set(lr.by_method.values())) == ("lr", "0.1", {"0.5"})
