"""Runs in several processes: the same results as in one, and recovery from dead processes."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.study import compare, make_engine
from selfdistill.study.engine.engine import SerialEngine
from selfdistill.study.engine.processes import ProcessEngine
from selfdistill.system import threads_per_worker
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener

BASE = RunConfig("ce()", limit=100, epochs=2, batch_size=32, accelerator="cpu")
DIES = "tests.helpers.dying_workers:dies"


class RecordingListener(Listener):
    def __init__(self):
        self.calls = []

    def for_job(self, name):
        return JobRecorder(name.split(",")[0], self.calls)

    def on_job_end(self, job):
        error = None if job.result is not None else job.summary.removeprefix("failed: ")
        self.calls.append(("done", job.name.split(",")[0], error))


class JobRecorder(Listener):
    def __init__(self, row, calls):
        self.row, self.calls = row, calls

    def on_run_start(self, title, epochs, steps):
        self.calls.append(("start", self.row, title.split(",")[0]))

    def on_epoch(self, row):
        self.calls.append(("epoch", self.row, row["epoch"]))


def test_results_equal_those_of_one_process(tmp_path):
    recorded = RecordingListener()
    serial = compare(["ce()", "drg()"], BASE, range(2), tmp_path / "a")
    parallel = compare(["ce()", "drg()"], BASE, range(2), tmp_path / "b", engine=ProcessEngine(2, 1), listener=recorded)
    assert not parallel.errors
    assert (tmp_path / "a" / "results.csv").read_bytes() == (tmp_path / "b" / "results.csv").read_bytes()
    assert serial.results.keys() == parallel.results.keys()
    once = [("start", row, row) for row in ("ce()", "drg()")]
    once += [("epoch", row, epoch) for row in ("ce()", "drg()") for epoch in (1, 2)]
    once += [("done", row, None) for row in ("ce()", "drg()")]
    assert Counter(recorded.calls) == Counter(once * 2)
    run = read_json(tmp_path / "b" / "runs" / "ce" / "seed0" / "run.json")
    assert run["machine"]["threads"] == 1


def test_teachers_are_trained_once(tmp_path):
    recorded = RecordingListener()
    study = compare(["kd()", "stkd()", "fitnet()"], BASE, [0], tmp_path, engine=ProcessEngine(3, 1), listener=recorded)
    assert not study.errors
    (teacher,) = [each for each in (tmp_path / "teachers").iterdir() if each.is_dir()]
    assert read_json(teacher / "run.json")["method"] == "ce()"
    titles = [words[2] for words in recorded.calls if words[0] == "start"]
    assert Counter(titles) == Counter(["ce()", "kd()", "stkd()", "fitnet()"])


def test_a_run_whose_process_is_killed_is_retried(tmp_path):
    own = f"{DIES}(marker='{tmp_path / 'died'}')"
    study = compare(["ce()", own], BASE, [0], tmp_path / "s", engine=ProcessEngine(2, 1))
    assert not study.errors
    assert (tmp_path / "died").is_file()
    assert len(study.results[own]) == 1


def test_a_run_that_dies_twice_fails_and_the_others_finish(tmp_path):
    study = compare(["ce()", f"{DIES}()", "dsr()"], BASE, range(2), tmp_path, engine=ProcessEngine(2, 1))
    assert {row: len(each) for row, each in study.results.items()} == {"ce()": 2, "dsr()": 2}
    (error,) = study.errors.values()
    assert error.startswith("its process died twice (SIGKILL)")


def test_control_c_ends_every_process(tmp_path):
    command = [sys.executable, "-m", "selfdistill", "compare", "--methods", "ce()", "dsr()", "--epochs", "1000"]
    words = [*command, "--limit", "500", "--workers", "2", "--out", str(tmp_path)]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: len(list(tmp_path.rglob("last.ckpt"))) == 2)
    os.killpg(started.pid, signal.SIGINT)  # to the whole process group, as a terminal does
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Traceback" not in err
    wait_for(lambda: not living(started.pid))


def test_processes_end_with_a_killed_parent(tmp_path):
    command = [sys.executable, "-m", "selfdistill", "compare", "--methods", "ce()", "dsr()", "--epochs", "1000"]
    words = [*command, "--limit", "500", "--workers", "2", "--out", str(tmp_path)]
    started = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: len(list(tmp_path.rglob("last.ckpt"))) == 2)
    started.kill()
    started.wait()
    wait_for(lambda: not living(started.pid))


def wait_for(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until, "condition not met within two minutes"
        time.sleep(0.05)


def living(group: int) -> list[str]:
    """States of a group's processes, without zombies."""
    shown = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout.split()
    return [state for state in shown if not state.startswith("Z")]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"workers": 0}, "workers must be 1 or more, but is 0"),
        ({"threads": 0}, "threads must be 1 or more, but is 0"),
        ({"name": "slurm"}, "there is no engine 'slurm'; choose local or ray"),
        ({"address": "auto"}, "--address is for Ray clusters, but the engine is local; add --engine ray"),
    ],
)
def test_mistakes(words, answer):
    with pytest.raises(UserError, match=answer):
        make_engine(**words)


def test_choice_of_engine():
    assert isinstance(make_engine(), SerialEngine)
    assert isinstance(make_engine(workers=1), SerialEngine)
    two = make_engine(workers=2, threads=3)
    assert (two.count, two.threads) == (2, 3)
    assert [threads_per_worker(8, workers) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]
