"""A full disk, a read-only one, a folder that is in use: an answer, and nothing is harmed."""

import os
import subprocess
import sys

import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.files import write_json
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.persist import checkpoint
from selfdistill.train.persist.lock import run_lock
from selfdistill.train.run import run
from tests.helpers.disks import fill, make_read_only, mounted
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, untimed


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk", "-o", "size=6m") as place:
        yield place


def test_a_full_disk_keeps_what_was_saved(disk):
    checkpoint.save(disk, {"epoch": 1, "weights": torch.rand(1000)})
    before = {path.name: path.read_bytes() for path in disk.iterdir()}
    fill(disk, leave=100_000)
    for size in (10_000_000, 200_000, 30_000):  # the error comes from torch's writer, from its end, from the disk
        with pytest.raises(UserError) as told:
            checkpoint.save(disk, {"epoch": 2, "weights": torch.rand(size)})
        assert str(told.value) == (
            f"cannot write {disk / 'last.ckpt'}: No space left on device; free the disk or choose another --out"
        )
    (disk / "ballast").unlink()
    assert {path.name: path.read_bytes() for path in disk.iterdir()} == before


def test_a_run_whose_disk_fills_up_goes_on_when_there_is_room(disk, digits, tmp_path):
    config = small(epochs=3)

    class Fill(Listener):
        def on_epoch(self, row):
            fill(disk, leave=20_000)

    with pytest.raises(UserError, match=r"cannot write .*last.ckpt: No space left on device; free the disk"):
        run(config, disk / "a", splits=digits, listener=Fill())
    (disk / "ballast").unlink()
    again = run(config, disk / "a", splits=digits)
    assert untimed(again) == untimed(run(config, tmp_path / "whole", splits=digits))
    assert log(disk / "a") == log(tmp_path / "whole")


def test_a_read_only_folder(disk, digits):
    write_json(disk / "a.json", {"x": 1})
    make_read_only(disk)
    with pytest.raises(UserError) as told:
        write_json(disk / "a.json", {"x": 2})
    assert str(told.value) == (
        f"cannot write {disk / 'a.json'}: Read-only file system; free the disk or choose another --out"
    )
    with pytest.raises(UserError, match=r"cannot make the folder .*/a: Read-only file system; choose another --out"):
        run(small(), disk / "a", splits=digits)
    with pytest.raises(UserError, match=r"cannot write in .*disk: Read-only file system; choose another --out"):
        run(small(), disk, splits=digits)


def test_a_run_whose_folder_became_read_only(disk, digits):
    with pytest.raises(Interrupted):
        run(small(), disk / "a", splits=digits, listener=StopAfter(1))
    make_read_only(disk)
    with pytest.raises(UserError, match=r"cannot write in .*a: Read-only file system; choose another --out"):
        run(small(), disk / "a", splits=digits)
    assert checkpoint.read(disk / "a" / "last.ckpt")["epoch"] == 1


def test_a_finished_run_is_read_from_a_read_only_disk(disk, digits):
    first = run(small(epochs=1), disk / "a", splits=digits)
    make_read_only(disk)
    assert run(small(epochs=1), disk / "a", splits=digits) == first


HOLD = """
import sys
from pathlib import Path
from selfdistill.train.persist.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in tmp_path / "a"."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a")], **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_processes_in_one_folder(holder, digits, tmp_path):
    before = sorted(path.name for path in (tmp_path / "a").iterdir())
    with pytest.raises(UserError) as told:
        run(small(epochs=1), tmp_path / "a", splits=digits)
    assert str(told.value) == (
        f"process {holder.pid} is training in {tmp_path / 'a'}; wait for it to end, or choose another --out"
    )
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == before
    holder.kill()
    holder.wait()
    assert run(small(epochs=1), tmp_path / "a", splits=digits)["epochs"] == 1  # nobody holds it any more


def test_one_may_wait(holder, tmp_path):
    told = []

    def tell(text):
        told.append(text)
        holder.stdin.close()

    with run_lock(tmp_path / "a", tell):
        assert (tmp_path / "a" / ".lock").read_text() == f"{os.getpid()}\n"
    assert told == [f"process {holder.pid} is training in {tmp_path / 'a'}; waiting for it to end"]


def test_leftovers_of_the_killed_are_swept_away_and_nothing_else(tmp_path):
    for name in (".last.ckpt.123", ".run.json.9", ".mine", "notes.7", "last.ckpt"):
        (tmp_path / name).touch()
    with run_lock(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine", "last.ckpt", "notes.7"]


def test_a_folder_that_stays_empty_is_not_left_behind(tmp_path):
    with run_lock(tmp_path / "a"):
        pass
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    with run_lock(tmp_path / "b"):
        pass
    assert (tmp_path / "b").exists()
