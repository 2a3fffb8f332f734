"""Ray on a local cluster of two workers: the same results file as local processes."""

import subprocess
import sys

import pytest

from selfdistill.files import read_json

pytest.importorskip("ray", reason="Ray is not installed: pip install 'selfdistill[ray]'")
DIES = "tests.helpers.dying_workers:dies()"


def compare(folder, engine, *methods):
    """The command in a process of its own: Ray's daemons and warnings are none of this one's."""
    words = ["--epochs", "2", "--limit", "100", "--batch-size", "32", "--seeds", "2", "--workers", "2"]
    words += ["--metrics", "basic", "recall", "--test-limit", "50"]
    command = [sys.executable, "-m", "selfdistill", "compare", "--methods", *methods, *words]
    where = ["--engine", engine, "--threads", "1", "--out", str(folder), "--accelerator", "cpu"]
    return subprocess.run([*command, *where], capture_output=True, text=True, timeout=300)


def test_two_workers_of_ray_and_two_processes_give_the_same_file(tmp_path):
    methods = ("ce()", "drg()", "kd()")
    there, here = (compare(tmp_path / engine, engine, *methods) for engine in ("ray", "local"))
    assert (there.returncode, there.stderr) == (0, "")
    assert (here.returncode, here.stderr) == (0, "")
    assert (tmp_path / "ray" / "results.csv").read_bytes() == (tmp_path / "local" / "results.csv").read_bytes()
    assert "drg(), resnet8, digits, seed 0: top-1" in there.stdout
    assert "metrics of drg(), resnet8, digits, seed 0: 4 computed" in there.stdout
    for file in (tmp_path / "local").rglob("metrics.json"):
        assert file.read_bytes() == (tmp_path / "ray" / file.relative_to(tmp_path / "local")).read_bytes()
    assert len(list((tmp_path / "ray").rglob("metrics.json"))) == 6
    assert read_json(tmp_path / "ray" / "runs" / "drg" / "seed0" / "run.json")["machine"]["threads"] == 1


def test_a_dead_worker_loses_no_finished_run(tmp_path):
    ran = compare(tmp_path, "ray", "ce()", DIES)
    assert ran.returncode == 1
    assert f"selfdistill: {DIES} failed: its process died twice" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(list(tmp_path.rglob("result.json"))) == 2


def test_a_cluster_that_is_not_there(tmp_path):
    command = [sys.executable, "-m", "selfdistill", "compare", "--engine", "ray", "--address", "127.0.0.1:1"]
    ran = subprocess.run(
        [*command, "--methods", "ce()", "--limit", "100", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("selfdistill: cannot reach a Ray cluster at 127.0.0.1:1")
    assert ran.stderr.count("\n") == 1
