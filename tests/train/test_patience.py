"""Runs that stop without a better validation score, and keep the best epoch."""

import pytest

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.records import read_log, read_result
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.run import run
from selfdistill.train.trainer import Trainer
from tests.helpers.small_runs import Interrupted, StopAfter, command, log, small, untimed, weights

SCORES = {1: 30.0, 2: 50.0, 3: 50.0, 4: 40.0, 5: 90.0}
WAITING = {"data": "digits", "epochs": 5, "limit": 64, "validation": 0.3, "patience": 2}


@pytest.fixture(autouse=True)
def scores(monkeypatch):
    """The validation score of each epoch, with its own weights."""

    def validate(trainer, images):
        trainer.best.offer(trainer.epoch, SCORES[trainer.epoch], trainer.train_step.weights.gather_full().deployed())
        return SCORES[trainer.epoch]

    monkeypatch.setattr(Trainer, "_validate", validate)


class KilledAfterTraining(Listener):
    def on_run_end(self):
        raise Interrupted


def test_it_stops_and_the_student_is_the_best_epoch(tmp_path):
    result = run(small(**WAITING), tmp_path / "a")
    assert (result["epochs"], result["best_epoch"], result["validation_top1"]) == (4, 2, 50.0)
    assert result["top1"] == result["best_epoch_top1"]
    assert weights(tmp_path / "a") == (tmp_path / "a" / "best.safetensors").read_bytes()
    config = read_json(tmp_path / "a" / "run.json")["config"]
    assert read_result(tmp_path / "a", config) == result
    assert [row["epoch"] for row in read_log(tmp_path / "a", result["epochs"])] == [1, 2, 3, 4]
    assert run(small(**WAITING), tmp_path / "a") == result  # finished: not trained again


def test_a_run_that_never_waits_as_long_trains_to_its_end(tmp_path):
    result = run(small(**WAITING | {"patience": 3}), tmp_path)
    assert (result["epochs"], result["best_epoch"], result["top1"]) == (5, 5, result["best_epoch_top1"])


@pytest.mark.parametrize("end", [StopAfter(3), StopAfter(4), KilledAfterTraining()], ids=["before", "at", "after"])
def test_a_kill_around_the_stop_changes_nothing(end, tmp_path):
    whole = run(small(**WAITING), tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(small(**WAITING), tmp_path / "cut", listener=end)
    cut = run(small(**WAITING), tmp_path / "cut")
    assert untimed(dict(cut)) == untimed(dict(whole))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_patience_needs_validation_images(tmp_path):
    with pytest.raises(UserError, match=r"--patience 2 waits .* has no validation images; hold some out, such as"):
        run(small(**WAITING | {"validation": 0.0}), tmp_path)


@pytest.mark.parametrize("value", [0, -1])
def test_patience_is_an_epoch_or_more(value):
    with pytest.raises(UserError, match=f"patience must be 1 or more, but is {value}"):
        small(patience=value)


def test_a_result_longer_than_its_run_is_refused(tmp_path):
    config = small(**WAITING)
    result = run(config, tmp_path)
    with pytest.raises(UserError, match="is of another run: epochs must be 3, but is 4"):
        read_result(tmp_path, config.to_json() | {"epochs": 3})
    assert result["epochs"] == 4


def test_a_search_has_its_own_way_to_stop(capsys, tmp_path):
    status, _, words = command(capsys, "tune", "--methods", "ce()", "--patience", 2, "--out", tmp_path / "a")
    assert (status, words) == (2, "selfdistill: tune stops trials by successive halving; leave --patience out\n")


def test_a_study_has_runs_of_several_lengths(capsys, monkeypatch, tmp_path):
    words = ["compare", "--methods", "ce()", "--seeds", 2, "--limit", 64, "--validation", 0.3, "--patience", 1]
    words += ["--epochs", 5, "--out", tmp_path]
    assert command(capsys, *words, "--seeds", 1)[0] in (0, None)
    monkeypatch.setitem(SCORES, 2, 20.0)
    status, out, _ = command(capsys, *words, "--report")
    assert status in (0, None), out
    assert [read_json(each)["epochs"] for each in sorted(tmp_path.glob("runs/*/*/result.json"))] == [3, 2]
    assert (tmp_path / "report.html").exists()
