"""One listener for displays, pipes and trackers: every hook may stay as it is, and several listen together."""

import inspect
from pathlib import Path

from selfdistill.study import compare
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import JobStatus, Listener, Listeners
from selfdistill.train.run import run
from tests.helpers.small_runs import small

HOOKS = [name for name, _ in inspect.getmembers(Listener, inspect.isfunction) if name.startswith("on_")]
ARGUMENTS = {
    "on_run_start": ("ce()", 2, 3),
    "on_run_files": (Path("run"),),
    "on_result": ({"top1": 90.0},),
    "on_epoch": ({"epoch": 1},),
    "on_checkpoint": (Path("last.ckpt"),),
    "on_note": ("resumed",),
    "on_study_start": (list, 0, 2),
    "on_job_end": (JobStatus("ce()", Path("x"), "top-1 90%", None),),
}


class Recorder(Listener):
    """Keeps the name of every call."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            self.calls.append(name)
        return super().__getattribute__(name)


def test_several_hear_every_hook():
    one, two = Recorder(), Recorder()
    both = Listeners(one, two)
    for name in HOOKS:
        getattr(both, name)(*ARGUMENTS.get(name, ()))
        getattr(both.for_job("ce()"), name)(*ARGUMENTS.get(name, ()))
    assert one.calls == two.calls == [name for name in HOOKS for _ in range(2)]


def test_a_run_calls_its_hooks_in_order(tmp_path):
    recorder = Recorder()
    run(small(epochs=1, limit=64), tmp_path, listener=recorder)
    made = [name for name in recorder.calls if name != "on_note"]
    steps = ["on_step", "on_step", "on_checkpoint", "on_epoch"]
    assert made == ["on_run_files", "on_run_start", *steps, "on_run_end", "on_result"]


def test_a_study_calls_its_hooks_around_those_of_runs(tmp_path):
    recorder = Recorder()
    compare(["ce()"], RunConfig("ce()", limit=64, batch_size=64, epochs=1), [0], tmp_path, listener=recorder)
    of_the_run = ["on_run_files", "on_run_start", "on_step", "on_checkpoint", "on_epoch", "on_run_end", "on_result"]
    assert [name for name in recorder.calls if name != "on_note"] == [
        "on_study_start",
        *of_the_run,
        "on_job_end",
        "on_study_end",
    ]
