"""Comparison of methods: finished runs are reused, a failing method does not stop the others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.report.tables.accuracy import footer, header, markdown, plain, rows
from selfdistill.study import compare
from selfdistill.study.layout import default_folder, run_folder
from selfdistill.terms import LossTerm
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", limit=100, epochs=1, batch_size=32)


class Fails(LossTerm):
    def loss(self, seen):
        if seen.progress.fraction >= 0 and len(seen.logits) > 2:
            raise ArithmeticError("on purpose")
        return seen.logits.sum()


@method_constructor
def fails() -> Method:
    return Method({"fails": Fails()})


def test_a_grid_and_its_table(tmp_path):
    study = compare(["ce()", "drg()", "label_smoothing()"], BASE, range(2), tmp_path)
    assert {method: sorted(each) for method, each in study.results.items()} == {
        "ce()": [0, 1],
        "drg()": [0, 1],
        "label_smoothing()": [0, 1],
    }
    table = rows(study)
    assert [row[0] for row in table] == ["ce()", "drg()", "label_smoothing()"]
    assert table[0][2:5] == ("", "", "baseline")
    gaps = [study.results["drg()"][seed]["top1"] - study.results["ce()"][seed]["top1"] for seed in range(2)]
    assert table[1][2].startswith(f"{sum(gaps) / 2:+.2f} [")
    assert table[0][7] == "1.00x"
    assert len(header(study)) == len(table[0])
    assert "digits, 100 training images, resnet8, 1 epochs, batch size 32, seeds 0 to 1" in footer(study)[0]
    whole = markdown(study)
    assert whole.count("\n| ") == 4
    assert "| +9,610 |" in whole
    assert plain(study).splitlines()[0].startswith("method")
    assert json.loads((tmp_path / "study.json").read_text())["seeds"] == [0, 1]


def test_finished_runs_are_not_trained_again(tmp_path):
    first = compare(["ce()", "dsr()"], BASE, range(2), tmp_path)
    stamps = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("result.json")}
    again = compare(["ce()", "dsr()", "csd()"], BASE, range(2), tmp_path)
    assert all(each.stat().st_mtime_ns == stamp for each, stamp in stamps.items())
    assert again.results["dsr()"] == first.results["dsr()"]
    assert len(again.results["csd()"]) == 2


def test_a_failing_method_is_recorded_and_the_others_go_on(tmp_path):
    own = "tests.study.test_compare:fails()"
    study = compare(["ce()", own, "dsr()"], BASE, range(2), tmp_path)
    assert study.errors == {own: "ArithmeticError: on purpose"}
    assert [row[0] for row in rows(study)] == ["ce()", "dsr()"]
    assert len(study.results["dsr()"]) == 2


@pytest.mark.parametrize(
    ("methods", "answer"),
    [
        (["ce()", "drgg()"], "there is no method 'drgg'"),
        (["ce()", "drg(tap='stage9')"], "nothing to tap at 'stage9'"),
        (["ce()", "drg(head='gated', tap='stage9')"], "nothing to tap at 'stage9'"),
    ],
)
def test_mistakes_are_found_before_training(tmp_path, methods, answer):
    with pytest.raises(UserError, match=answer):
        compare(methods, BASE, range(2), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_run_folders_are_readable_and_unique(tmp_path):
    names = [
        run_folder(tmp_path, text, 0).parent.name
        for text in ("ce()", "drg(alpha=0.1)", "drg(alpha=0.1 )", "label_smoothing()")
    ]
    assert names[0] == "ce"
    assert names[3] == "label_smoothing"
    assert names[1].startswith("drg-alpha-0.1-")
    assert len(set(names)) == 4


def test_one_seed_has_no_interval(tmp_path):
    study = compare(["dsr()", "csd()"], BASE, [0], tmp_path)
    assert study.baseline == "dsr()"
    assert rows(study)[1][4] == "one seed"
    assert header(study)[2] == "against dsr()"


def test_studies_of_different_data_models_and_epochs_have_different_folders():
    base = RunConfig("ce()", data="parquet:../x/cifar100/", limit=50, model="timm/convnext_atto", epochs=3)
    assert default_folder(base) == Path("runs/cifar100-50-convnext_atto-3epochs")
    others = {
        default_folder(replace(base, **change)) for change in ({}, {"data": "digits"}, {"epochs": 4}, {"limit": 60})
    }
    assert len(others) == 4
