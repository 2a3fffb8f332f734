"""Folds on the command line."""

import pytest

from selfdistill.files import read_json
from tests.helpers.small_runs import command


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("train", "ce()", "--fold", "1"), "fold must be left out without folds, but is 1"),
        (("train", "ce()", "--folds", "3", "--fold", "3"), "fold must be from 0 to 2, but is 3"),
        (("compare", "--folds", "1"), "folds must be 2 or more, but is 1"),
        (("compare", "--folds", "2", "--test", "0.2"), "folds must be left out with --test"),
        (("compare", "--folds", "2", "--data", "fake"), "fake has its own test part, so --folds has nothing to draw"),
        (("train", "ce()", "--folds", "200"), "the smallest of 10 classes has 174 rows, fewer than the 200 folds"),
    ],
)
def test_folds_that_do_not_fit_are_refused_in_a_line(capsys, tmp_path, monkeypatch, words, answer):
    monkeypatch.chdir(tmp_path)
    status, _, err = command(capsys, *words)
    assert status
    assert answer in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.rglob("result.json"))


def test_a_run_of_one_fold(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "ce()", "--folds", "3", "--fold", "1", "--limit", "60", "--epochs", "1", "--batch-size", "30")
    status, out, err = command(capsys, *words)
    assert (status, err) == (0, "")
    assert "fold 1 of 3, seed 0" in out
    assert "run: runs/ce-digits-resnet8-0-fold1of3" in out
    info = read_json(tmp_path / "runs" / "ce-digits-resnet8-0-fold1of3" / "run.json")
    assert info["images"] == {"train": 60, "test": 599}
