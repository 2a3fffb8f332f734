"""SIGINT and SIGTERM: the step is finished and saved, and the message says how to continue."""

import os
import signal
import threading
import time

import pytest

from selfdistill import errors
from selfdistill.files import read_json
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.monitor.signals import Signals
from selfdistill.train.run import run
from tests.helpers.processes import command, forked, outcome, until
from tests.helpers.small_runs import log, small, untimed, weights


class Send(Listener):
    """Sends a signal at a step."""

    def __init__(self, number, step):
        self.number, self.left = number, step

    def on_step(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("step", [1, 5, 6, 9, 12])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_step_is_finished_and_the_run_continues_bitwise(number, step, digits, tmp_path):
    config, handlers = small("lightskd()"), [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(errors.Interrupted) as told:
        run(config, tmp_path / "a", splits=digits, listener=Send(number, step))
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    epochs, steps = divmod(step, 6)
    done = f"{epochs} of 2 epochs" + (f" and {steps} steps" if steps else "")
    assert told.value.number == number
    assert str(told.value) == (
        f"stopped by {number.name} after {done}; the checkpoint is in {tmp_path / 'a'}: run the same "
        "command to continue"
    )

    class Count(Listener):
        steps, notes = 0, ()

        def on_step(self):
            self.steps += 1

        def on_note(self, text):
            self.notes += (text,)

    rest = Count()
    run(config, tmp_path / "a", splits=digits, listener=rest)
    run(config, tmp_path / "whole", splits=digits)
    assert rest.steps == 12 - step
    place = "the end" if step == 12 else f"epoch {epochs + 1}, step {steps + 1}"
    assert rest.notes == (f"resuming at {place}: {tmp_path / 'a' / 'last.ckpt'}",)
    assert weights(tmp_path / "a") == weights(tmp_path / "whole")
    assert log(tmp_path / "a") == log(tmp_path / "whole")
    results = [untimed(read_json(tmp_path / each / "result.json")) for each in ("a", "whole")]
    assert results[0] == results[1]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_process_at_once(second):
    def work():
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.caught == signal.SIGINT
            os.kill(os.getpid(), second)
            time.sleep(60)

    assert outcome(forked(work)) == -second


def test_in_another_thread_nobody_listens_and_nothing_breaks():
    handlers, met = signal.getsignal(signal.SIGINT), []

    def work():
        with Signals() as signals:
            met.append((signals.caught, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert met == [(0, handlers)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command(number, status, tmp_path):
    words = ["train", "ce()", "--limit", "200", "--batch-size", "32", "--epochs", "1000", "--accelerator", "cpu"]
    process = command(*words, "--out", str(tmp_path / "a"))
    until((tmp_path / "a" / "log.jsonl").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert err.startswith(f"selfdistill: stopped by {number.name} after ")
    assert err.endswith(f"the checkpoint is in {tmp_path / 'a'}: run the same command to continue\n")
    process = command(*words, "--out", str(tmp_path / "a"))
    assert "resuming at epoch " in process.stdout.readline()
    process.kill()
    process.communicate()


def test_what_a_process_ignores_it_goes_on_ignoring():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            signal.raise_signal(signal.SIGINT)
            assert signals.caught == 0
            signal.raise_signal(signal.SIGTERM)
            assert signals.caught == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
