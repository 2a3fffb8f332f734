"""Runs of a fraction of an epoch, and of a number of steps."""

import pytest

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.records import read_log, read_result
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.run import run
from tests.helpers.small_runs import Interrupted, command, log, small, trainer, weights


class Steps(Listener):
    """Count the steps, and end the run after some."""

    def __init__(self, end=None):
        self.count, self.end = 0, end

    def on_step(self):
        self.count += 1
        if self.count == self.end:
            raise Interrupted


@pytest.mark.parametrize(
    ("length", "steps", "rows"),
    [
        ({"epochs": 0.5}, 3, 1),
        ({"epochs": 1.5}, 9, 2),
        ({"steps": 7}, 7, 2),
        ({"steps": 6}, 6, 1),
        ({"steps": 1}, 1, 1),
    ],
)
def test_a_run_takes_its_steps(length, steps, rows, digits, tmp_path):
    counted = Steps()
    found = trainer(small(**length), digits, tmp_path, listener=counted).fit()
    assert (counted.count, [row["epoch"] for row in found]) == (steps, [*range(1, rows + 1)])
    assert found[-1]["images_per_second"] == pytest.approx((steps - 6 * (rows - 1)) * 32 / found[-1]["seconds"])


def test_whole_epochs_are_whole_numbers():
    assert repr(small(epochs=3.0).epochs) == "3"
    assert small(epochs=3.0).to_json() == small(epochs=3).to_json()


def test_steps_of_whole_epochs_are_those_epochs(digits, tmp_path):
    one, other = (trainer(small("ps_kd()", **each), digits, tmp_path) for each in ({"epochs": 2}, {"steps": 12}))
    assert [one.rate(each) for each in range(12)] == [other.rate(each) for each in range(12)]
    assert [one.progress(each) for each in range(12)] == [other.progress(each) for each in range(12)]


def test_schedule_and_milestones_hold_for_the_partial_run(digits, tmp_path):
    made = trainer(small(epochs=1.5, schedule="step", milestones=(0.5,)), digits, tmp_path)
    assert [made.rate(each) for each in (0, 4, 5, 8)] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert trainer(small(steps=4, schedule="linear"), digits, tmp_path).rate(4) == 0.0
    assert trainer(small(steps=9), digits, tmp_path).progress(3).fraction.item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("end", [2, 7, 9])
def test_a_partial_run_resumes_bitwise_and_is_read(end, digits, tmp_path):
    config = small("ps_kd()", epochs=1.5)
    result = run(config, tmp_path / "whole", splits=digits)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", splits=digits, listener=Steps(end), save_every=0.0)
    run(config, tmp_path / "cut", splits=digits)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    stored = read_json(tmp_path / "cut" / "run.json")["config"]
    assert read_result(tmp_path / "whole", stored) == result
    assert len(read_log(tmp_path / "cut", result["epochs"])) == result["epochs"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, "epochs must be above 0, but is 0"),
        ({"epochs": -0.5}, "epochs must be above 0, but is -0.5"),
        ({"epochs": float("nan")}, "epochs must be a number, but is nan"),
        ({"epochs": 2**31}, "epochs must be below 2,147,483,648"),
        ({"epochs": 0.5, "warmup": 1}, "warmup must be from 0 to the 0.5 epochs, but is 1"),
        ({"steps": 0}, "steps must be 1 or more, but is 0"),
        ({"steps": 1.5}, "steps must be a whole number, but is 1.5"),
    ],
)
def test_wrong_lengths_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        small(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"warmup": 3}, "warmup is at 3 epochs of 6 steps, but the run has 9 steps; pass fewer epochs of --warmup"),
        ({"freeze": "layer1", "unfreeze": 2}, "unfreeze is at 2 epochs of 6 steps, but the run has 9 steps"),
    ],
)
def test_what_the_steps_do_not_reach_is_refused(options, words, digits, tmp_path):
    with pytest.raises(UserError, match=words):
        trainer(small(steps=9, **options), digits, tmp_path)


def test_what_needs_whole_epochs_says_so(capsys, tmp_path):
    words = ("--methods", "byot()", "--limit", 64, "--out", tmp_path)
    found = command(capsys, "compare", *words, "--equal-compute", "--steps", 9)[2]
    assert "--equal-compute lengthens runs by whole epochs, but a run has 9 steps; pass whole --epochs" in found
    found = command(capsys, "tune", "--methods", "ce()", "--epochs", 0.5, "--out", tmp_path)[2]
    assert "tune halves whole epochs, but a run has 0.5 epochs; pass whole --epochs, without --steps" in found


def test_a_study_of_half_an_epoch_is_told_as_such(capsys, tmp_path):
    words = ("--methods", "ce()", "--seeds", 1, "--limit", 64, "--epochs", 0.5, "--out", tmp_path)
    status, out, _ = command(capsys, "compare", *words)
    assert status in (0, None)
    assert "resnet8, 0.5 epochs, batch size 64" in out
