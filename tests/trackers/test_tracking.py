"""Runs with trackers in processes of their own: a tracker that fails, hangs or dies changes no run."""

import os
import signal
import subprocess
import sys
import time

import pytest

from selfdistill.cli.app import main
from selfdistill.trackers.process import TrackerProcess
from selfdistill.trackers.spec import TrackerSpec
from tests.helpers.small_runs import weights

pytestmark = pytest.mark.slow  # each starts processes
SMALL = ["--limit", "64", "--epochs", "2", "--batch-size", "32", "--accelerator", "cpu"]


def train(folder, *options, capsys):
    main_ends(["train", "drg()", *SMALL, "--out", str(folder), *options])
    return capsys.readouterr()


def main_ends(words):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert not end.value.code


def test_a_run_with_trackers_is_the_run_without(tmp_path, capsys):
    train(tmp_path / "plain", capsys=capsys)
    said = train(tmp_path / "tracked", "--log", "csv", "tensorboard", capsys=capsys)
    assert weights(tmp_path / "plain") == weights(tmp_path / "tracked")
    assert "tracker" not in said.err
    assert len((tmp_path / "tracked" / "epochs.csv").read_text().splitlines()) == 3
    assert list((tmp_path / "tracked" / "tensorboard").iterdir())


def test_an_unreachable_server_costs_a_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = train(tmp_path / "run", "--log", "mlflow:http://127.0.0.1:9", capsys=capsys)
    (line,) = [line for line in said.err.splitlines() if "tracker" in line]
    assert "the tracker mlflow:http://127.0.0.1:9 failed: " in line
    assert "`selfdistill log RUN --to mlflow:http://127.0.0.1:9` sends them later" in line
    assert (tmp_path / "run" / "result.json").exists()


def test_a_full_disk_costs_a_line(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "epochs.csv").mkdir()  # cannot be replaced by a file
    said = train(folder, "--log", "csv", capsys=capsys)
    assert len([line for line in said.err.splitlines() if "the tracker csv failed: " in line]) == 1
    assert (folder / "result.json").exists()


def test_a_study_sends_its_runs_and_its_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = f"mlflow:file:{tmp_path / 'mlruns'}"
    words = ["compare", "--methods", "ce()", "drg()", "--seeds", "1", *SMALL, "--workers", "2", "--report"]
    main_ends([*words, "--out", str(tmp_path / "study"), "--log", store, "csv"])
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store.removeprefix("mlflow:"))
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert sorted(run.info.run_name for run in runs) == [
        "ce(), resnet8, seed 0",
        "drg(), resnet8, seed 0",
        "study: report",
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(list((tmp_path / "study").rglob("epochs.csv"))) == 2


def test_log_sends_finished_runs(tmp_path, capsys):
    train(tmp_path / "run", capsys=capsys)
    main_ends(["log", str(tmp_path / "run"), "--to", "csv"])
    assert capsys.readouterr().out == f"csv: {tmp_path / 'run'}: 2 epochs sent\n"
    with pytest.raises(SystemExit) as end:
        main(["log", str(tmp_path / "nothing"), "--to", "csv"])
    assert end.value.code == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "ended with SIGKILL"), (signal.SIGSTOP, "answer within")]
)
def test_a_tracker_that_dies_or_hangs_costs_a_line(number, words, tmp_path):
    said: list[str] = []
    process = TrackerProcess(TrackerSpec("csv", ""), "study", said.append, close_timeout=2)
    assert process.process.pid is not None
    os.kill(process.process.pid, number)
    for _ in range(5000):
        process.send(tmp_path)
    begun = time.monotonic()
    process.close()
    assert time.monotonic() - begun < 10
    (line,) = said
    assert words in line


def test_the_process_of_a_run_imports_no_trackers_package():
    check = "import selfdistill.trackers.listener, sys; assert not {'wandb', 'mlflow', 'tensorboard'} & {*sys.modules}"
    assert subprocess.run([sys.executable, "-c", check], timeout=60).returncode == 0
