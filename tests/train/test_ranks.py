"""Two processes train as one, and end together whatever becomes of one of them."""

import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from selfdistill.files import read_json
from selfdistill.records import task_of_epoch
from selfdistill.train.persist import checkpoint
from tests.helpers.processes import ROOT, command, until
from tests.helpers.small_runs import log, untimed, weights
from tests.train.rank import EXPRESSIONS, TASKS, THAWED, of_the_run, scaled, train, train_task

NEAR = 1e-5
WORDS = ("train", "lightskd() + csd()", "--limit", "200", "--batch-size", "32", "--accelerator", "cpu")
MANY = ("--epochs", "1000", "--save-every", "0")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of runs by two processes, in the order of EXPRESSIONS, by strategy."""

    @cache
    def made(strategy):
        folder = tmp_path_factory.mktemp(strategy)
        started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        words = [*started, str(ROOT / "tests/train/rank.py"), str(folder), strategy]
        done = subprocess.run(words, env=environment, stderr=subprocess.PIPE, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"a rank failed:\n{done.stderr}"
        return folder

    return made


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The folder of a run by one process, by its expression."""

    @cache
    def made(text):
        folder = tmp_path_factory.mktemp("one")
        train(text, folder)
        return folder

    return made


def near(one, other):
    """The same weights and the same log but for rounding."""
    assert_close(*(load_file(folder / "student.safetensors") for folder in (one, other)), rtol=NEAR, atol=NEAR)
    for row, same in zip(log(one), log(other), strict=True):
        assert row["losses"] == pytest.approx(same["losses"], rel=10 * NEAR, abs=NEAR)
        key = task_of_epoch(row).training
        assert row[key] == pytest.approx(same[key])


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_are_one(two, one, strategy, text):
    folder = two(strategy) / str(EXPRESSIONS.index(text))
    near(folder, one(text))
    config = read_json(folder / "run.json")["config"]
    assert (config["devices"], config["nodes"], config["strategy"]) == (2, 1, strategy)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_are_one_for_other_tasks(two, strategy, task, tmp_path):
    result = train_task(task, tmp_path)
    near(two(strategy) / task, tmp_path)
    score = {"segment": "miou", "tag": "map"}[task]
    assert read_json(two(strategy) / task / "result.json")[score] == pytest.approx(result[score])


@pytest.mark.parametrize("task", TASKS)
def test_parts_of_a_batch_are_the_batch_for_other_tasks(task, tmp_path):
    train_task(task, tmp_path / "whole")
    train_task(task, tmp_path / "parts", accumulate=2)
    near(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_parameter_of_one_number_is_everyones(two, strategy, tmp_path):
    train("ema() + dot()", tmp_path, make=scaled)
    near(two(strategy) / "scaled", tmp_path)


def test_two_processes_ascend_one_slope(two, tmp_path):
    train("at()", tmp_path, sam=0.05)
    near(two("ddp") / "sam", tmp_path)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_frozen_layers_stay_in_two_processes_too(two, strategy, tmp_path):
    train("at()", tmp_path, freeze="layer1, layer2")
    near(two(strategy) / "frozen", tmp_path)


def test_layers_thaw_in_two_processes_too(two, tmp_path):
    train("at()", tmp_path, **THAWED | {"accumulate": 4})
    near(two("ddp") / "thawed", tmp_path)


def test_compiled_blocks_give_the_same(two, one):
    near(two("fsdp") / "compiled", one("at()"))


def test_each_process_holds_its_part(two):
    one, other = (read_json(two("fsdp") / f"rank{rank}.json")["shares"] for rank in range(2))
    for name in ("weights", "gradients", "momenta"):
        assert one[name] + other[name] == one["all"]
        assert one[name] < 0.6 * one["all"]


def test_weights_read_outside_their_block_are_refused(two):
    for rank in range(2):
        assert read_json(two("fsdp") / f"rank{rank}.json")["refused"] == (
            "Peeking reads weights of a block outside that block's forward pass, while they are sharded over "
            "processes; use --strategy ddp, or another --model"
        )


def test_one_process_has_nothing_to_share(one, tmp_path):
    train("ce()", tmp_path, strategy="fsdp")
    assert weights(tmp_path) == weights(one("ce()"))


@pytest.mark.parametrize("text", [text for text in EXPRESSIONS if not of_the_run(text)])
def test_parts_of_a_batch_are_the_batch(one, text, tmp_path):
    train(text, tmp_path, accumulate=2)
    near(tmp_path, one(text))


def child_of(process):
    """The process that a command with two devices has started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        pytest.skip("this system does not tell of a process's children")
    until(lambda: listed.read_text().split())
    return int(listed.read_text().split()[0])


def gone(pid):
    """Whether a process has ended: is no more, or waits to be fetched."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def started(folder, *words):
    process = command(*WORDS, *words, "--devices", "2", "--out", str(folder))
    until((folder / "previous.ckpt").exists)
    return process, child_of(process)


def epochs_done(folder):
    return checkpoint.read(folder / "last.ckpt")["epoch"]


def test_one_of_two_killed_ends_the_other_and_the_run_goes_on(tmp_path):
    process, child = started(tmp_path, *MANY)
    os.kill(child, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == (
        "selfdistill: another process of this run has ended, so this one ends too; the last checkpoint is kept, and "
        "re-running the command resumes from it\n"
    )
    process, child = started(tmp_path, *MANY)
    assert process.stdout.readline().startswith("resuming at epoch ")
    os.kill(process.pid, signal.SIGKILL)  # the first, which writes the files
    until(lambda: gone(child))
    process.communicate()


def test_a_signal_to_one_ends_both_and_the_end_is_bitwise_the_same(tmp_path):
    few = ("--epochs", "8")
    command(*WORDS, *few, "--devices", "2", "--out", str(tmp_path / "whole")).communicate(timeout=120)
    process, child = started(tmp_path / "cut", *few, "--save-every", "0")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.startswith("selfdistill: stopped by SIGTERM after ")
    until(lambda: gone(child))
    command(*WORDS, *few, "--devices", "2", "--out", str(tmp_path / "cut")).communicate(timeout=120)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    results = [untimed(read_json(tmp_path / each / "result.json")) for each in ("cut", "whole")]
    assert results[0] == results[1]


def test_parts_killed_go_on_and_the_end_is_bitwise_the_same(tmp_path):
    few = ("--epochs", "4", "--strategy", "fsdp", "--validation", "0.2", "--accumulate", "2", "--devices", "2")
    command(*WORDS, *few, "--out", str(tmp_path / "whole")).communicate(timeout=120)
    process, child = started(tmp_path / "cut", *few, "--save-every", "0")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: gone(child))
    assert epochs_done(tmp_path / "cut") < 4
    command(*WORDS, *few, "--out", str(tmp_path / "cut")).communicate(timeout=120)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_another_number_of_processes_is_another_run(tmp_path):
    words = (*WORDS, "--epochs", "1", "--out", str(tmp_path))
    command(*words).communicate(timeout=60)
    _, err = (process := command(*words, "--devices", "2")).communicate(timeout=60)
    assert process.returncode == 2
    assert err == f"selfdistill: {tmp_path} holds a run with another devices; choose another --out\n"
