"""Trackio: a run of a project in the local store."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import DEFAULT_PROJECT


class TrackioRun:
    """A run that is open in Trackio; its step is the epoch."""

    def __init__(self, run: Any):
        self.run = run

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send the values of an epoch."""
        self.run.log(dict(values), step=epoch)

    def finish(self, values: Mapping[str, float], page: Path | None) -> None:
        """Send the final values at the last step; Trackio holds no report."""
        self.run.log(dict(values))
        self.close()

    def close(self) -> None:
        """Write what is queued."""
        self.run.finish()


def open_run(argument: str, records: RunRecords, run_id: str) -> tuple[TrackioRun, str]:
    """Open a run of the project; a name with this id is continued."""
    trackio = importlib.import_module("trackio")
    run = trackio.init(
        project=argument or DEFAULT_PROJECT,
        name=f"{records.name} ({run_id[:6]})",
        group=records.group,
        config=records.config,
        resume="allow",
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    return TrackioRun(run), run_id
