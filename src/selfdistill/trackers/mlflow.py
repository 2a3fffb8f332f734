"""MLflow: a run of an experiment, on a server or in a local store."""

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfdistill.trackers.run_records import RunRecords

LONGEST = 6000  # characters of a parameter that MLflow stores


class MLflowRun:
    """A run that is open in MLflow; its step is the epoch."""

    def __init__(self, client: Any, run_id: str):
        self.client, self.run_id = client, run_id
        self.entities = importlib.import_module("mlflow.entities")

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send the values of an epoch in one request."""
        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id, metrics=[self.entities.Metric(name, value, now, epoch) for name, value in values.items()]
        )

    def finish(self, values: Mapping[str, float], page: Path | None) -> None:
        """Send the final values and the report, and mark the run as finished."""
        self.log(0, values)
        if page is not None:
            self.client.log_artifact(self.run_id, str(page))
        self.client.set_terminated(self.run_id, "FINISHED")

    def close(self) -> None:
        """Mark the run as ended before its last epoch."""
        self.client.set_terminated(self.run_id, "KILLED")


def open_run(argument: str, records: RunRecords, run_id: str) -> tuple[MLflowRun, str]:
    """Open a run in the store of the URI, or of MLFLOW_TRACKING_URI; the experiment is the run's group."""
    client = _client(argument)
    if not _has_run(client, run_id):
        run_id = _new_run(client, records)
    client.update_run(run_id, status="RUNNING")
    return MLflowRun(client, run_id), run_id


def send_page(argument: str, group: str, page: Path) -> None:
    """Send the report of a study as an artifact of a run of its own."""
    client = _client(argument)
    run_id = client.create_run(_experiment(client, group), run_name=f"{group}: report").info.run_id
    MLflowRun(client, run_id).finish({}, page)


def _client(uri: str) -> Any:
    mlflow = importlib.import_module("mlflow")
    return mlflow.MlflowClient(tracking_uri=uri or None)


def _has_run(client: Any, run_id: str) -> bool:
    exceptions = importlib.import_module("mlflow.exceptions")
    try:
        client.get_run(run_id)
    except exceptions.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _new_run(client: Any, records: RunRecords) -> str:
    entities = importlib.import_module("mlflow.entities")
    run_id: str = client.create_run(_experiment(client, records.group), run_name=records.name).info.run_id
    config = [entities.Param(key, str(value)[:LONGEST]) for key, value in records.config.items()]
    client.log_batch(run_id, params=config)
    return run_id


def _experiment(client: Any, name: str) -> str:
    """Return the id of an experiment, which is created if there is none."""
    found = client.get_experiment_by_name(name)
    number: str = found.experiment_id if found else client.create_experiment(name)
    return number
