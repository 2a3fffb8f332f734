"""Killed at any moment, and started again with the same words: the end is bitwise the same."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from selfdistill.files import read_json, write_atomic
from selfdistill.train.persist.checkpoint import HashingFile
from selfdistill.train.run import run
from tests.helpers.processes import forked, outcome
from tests.helpers.small_runs import log, small, untimed, weights

METHODS = ["lightskd() + csd()", "ema(decay=0.9) + ps_kd()", "dot()", "mixup() + dml()", "crd()"]
KILLS = 20


def told(folder):
    """All that must be the same."""
    return weights(folder), log(folder), untimed(read_json(folder / "result.json"))


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """Runs that nobody interrupted, and how long they took."""
    found = {}
    for text in METHODS:
        folder, start = tmp_path_factory.mktemp("whole") / "a", time.monotonic()
        assert outcome(forked(lambda text=text, folder=folder: train(text, folder, digits))) == 0
        found[text] = told(folder), time.monotonic() - start
    return found


def train(text, folder, digits):
    run(small(text), folder, splits=digits, save_every=0.0)  # a checkpoint at every step


def test_twenty_kills_at_random_moments(whole, digits, tmp_path):
    draws, kills, runs = random.Random(20), 0, 0
    while kills < KILLS:
        text, folder = METHODS[runs % len(METHODS)], tmp_path / str(runs)
        want, seconds = whole[text]
        runs, most = runs + 1, kills + KILLS // len(METHODS)
        while True:
            child = forked(lambda text=text, folder=folder: train(text, folder, digits))
            if kills < most:
                time.sleep(draws.uniform(0.0, 0.6 * seconds))
                os.kill(child, signal.SIGKILL)
            status = outcome(child)
            assert status in (0, -signal.SIGKILL)
            if status == 0:
                break
            kills += 1
        assert told(folder) == want, (text, kills)


def killing(monkeypatch, at):
    """Be killed at this moment of those at which a file changes; `passed` counts them."""
    passed = []

    def before(name, do):
        def doing(*args, **kwargs):
            if len(passed) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            passed.append(name)
            return do(*args, **kwargs)

        return doing

    monkeypatch.setattr(HashingFile, "write", before("write", HashingFile.write))
    monkeypatch.setattr(os, "fsync", before("sync", os.fsync))
    monkeypatch.setattr(Path, "replace", before("replace", Path.replace))
    return passed


def test_killed_at_every_moment_of_a_save(whole, digits, tmp_path, monkeypatch):
    text = METHODS[0]

    def count():
        with monkeypatch.context() as patched:
            passed = killing(patched, None)
            run(small(text), tmp_path / "count", splits=digits, save_every=0.0)
            (tmp_path / "moments").write_text(" ".join(passed))

    assert outcome(forked(count)) == 0
    moments = (tmp_path / "moments").read_text().split()
    syncs = [at for at, each in enumerate(moments) if each == "sync"]
    save = range(syncs[8] + 1, syncs[10] + 2)  # one in the midst of the first epoch
    writes = [at for at in save if moments[at] == "write"]
    places = [*(at for at in save if moments[at] != "write"), writes[0], writes[len(writes) // 2], writes[-1]]
    assert [moments[at] for at in places].count("replace") >= 2
    for at in places:
        folder = tmp_path / str(at)

        def die(at=at, folder=folder):
            with monkeypatch.context() as patched:
                killing(patched, at)
                run(small(text), folder, splits=digits, save_every=0.0)

        assert outcome(forked(die)) == -signal.SIGKILL
        assert outcome(forked(lambda folder=folder: train(text, folder, digits))) == 0
        assert told(folder) == whole[text][0], (at, moments[at])
        assert not [path for path in folder.iterdir() if path.name.startswith(".last")]


def test_a_kill_while_a_file_is_written_leaves_the_one_before(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, lambda beside: beside.write_text("whole"))

    def die(beside):
        beside.write_text("ha")
        os.kill(os.getpid(), signal.SIGKILL)

    assert outcome(forked(lambda: write_atomic(path, die))) == -signal.SIGKILL
    assert path.read_text() == "whole"
