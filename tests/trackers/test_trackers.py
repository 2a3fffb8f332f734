"""Every tracker receives the epochs, the configuration and the result of a run, by its own reader."""

import csv
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from selfdistill.records import LOG, RESULT
from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import parse_trackers
from selfdistill.trackers.tracker import OpenRun, read_sent, send_page
from tests.helpers.small_runs import log

FINAL = "final/top1"


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the run, with a report."""
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    (copy / "report.html").write_text("<p>report")
    return copy


def send(folder: Path, text: str) -> int:
    (spec,) = parse_trackers([text])
    run = OpenRun(spec, RunRecords(folder, "the study"))
    sent = run.send()
    run.close()
    return sent


def in_two_parts(folder: Path, text: str) -> None:
    """Send the first epoch, as before an interruption, and the rest afterwards."""
    lines, result = (folder / LOG).read_text().splitlines(keepends=True), (folder / RESULT).read_text()
    (folder / RESULT).unlink()
    (folder / LOG).write_text(lines[0])
    assert send(folder, text) == 1
    (folder / LOG).write_text("".join(lines))
    (folder / RESULT).write_text(result)
    assert send(folder, text) == 1
    assert send(folder, text) == 0  # nothing is new


def validation(folder: Path) -> list[float]:
    return [row["validation_top1"] for row in log(folder)]


def top1(folder: Path) -> float:
    found: float = json.loads((folder / RESULT).read_text())["top1"]
    return found


def test_csv_has_a_line_per_epoch(folder):
    in_two_parts(folder, "csv")
    with (folder / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["validation/top1"]) for row in rows] == validation(folder)
    assert {"lr", "loss/task", "train/top1", "images_per_second"} <= rows[0].keys()


def test_tensorboard_reads_its_event_files(folder):
    in_two_parts(folder, "tensorboard")
    events: Any = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    found = events.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    assert [(each.step, each.value) for each in found.Scalars("validation/top1")] == [
        (epoch, pytest.approx(value)) for epoch, value in enumerate(validation(folder), 1)
    ]
    assert found.Scalars(FINAL)[0].value == pytest.approx(top1(folder))
    assert "config/text_summary" in found.Tags()["tensors"]


def test_mlflow_reads_its_store(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = f"file:{tmp_path / 'mlruns'}"
    in_two_parts(folder, f"mlflow:{store}")
    client = importlib.import_module("mlflow").MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("the study")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["resolved"].startswith("drg(")
    assert [each.value for each in client.get_metric_history(run.info.run_id, "validation/top1")] == validation(folder)
    assert run.data.metrics[FINAL] == top1(folder)
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["report.html"]


def test_mlflow_receives_the_report_of_a_study(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = f"file:{tmp_path / 'mlruns'}"
    (spec,) = parse_trackers([f"mlflow:{store}"])
    send_page(spec, "the study", folder / "report.html")
    client = importlib.import_module("mlflow").MlflowClient(tracking_uri=store)
    (run,) = client.search_runs([client.get_experiment_by_name("the study").experiment_id])
    assert run.info.run_name == "the study: report"
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["report.html"]


@pytest.mark.slow
def test_wandb_writes_offline(folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    in_two_parts(folder, "wandb:mine")
    (spec,) = parse_trackers(["wandb:mine"])
    run_id = read_sent(folder, spec).id
    files = sorted((folder / "wandb").glob(f"offline-run-*-{run_id}/run-{run_id}.wandb"))
    assert len(files) == 2  # one for each part, of one id, which W&B joins
    content = b"".join(path.read_bytes() for path in files)
    assert all(word in content for word in (b"validation/top1", b"final/top1", b"drg()", b"the study"))


def test_trackio_reads_its_store(folder, tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    in_two_parts(folder, "trackio:mine")
    storage: Any = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    (name,) = storage.get_runs("mine")
    rows = storage.get_logs("mine", name)
    assert [row["validation/top1"] for row in rows if "validation/top1" in row] == validation(folder)
    assert rows[-1][FINAL] == top1(folder)
