"""Weights & Biases: a run of a project; offline with WANDB_MODE=offline."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import DEFAULT_PROJECT


class WandbRun:
    """A run that is open in W&B; its step is the epoch."""

    def __init__(self, run: Any):
        self.run = run

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send the values of an epoch."""
        self.run.log(dict(values), step=epoch)

    def finish(self, values: Mapping[str, float], page: Path | None) -> None:
        """Send the final values as the summary, and the report as an artifact."""
        self.run.summary.update(dict(values))
        if page is not None:
            self.run.log_artifact(str(page), name=f"report-{self.run.id}", type="report")
        self.run.finish()

    def close(self) -> None:
        """Mark the run as not finished."""
        self.run.finish(exit_code=1)


def open_run(argument: str, records: RunRecords, run_id: str) -> tuple[WandbRun, str]:
    """Open a run of the project; an id that W&B has is continued."""
    folder, config = str(records.folder), records.config
    run = _init(argument, name=records.name, group=records.group, id=run_id, resume="allow", config=config, dir=folder)
    return WandbRun(run), run_id


def send_page(argument: str, group: str, page: Path) -> None:
    """Send the report of a study as an artifact of a run of its own."""
    run = _init(argument, name=f"{group}: report", group=group, job_type="report", dir=str(page.parent))
    WandbRun(run).finish({}, page)


def _init(project: str, **values: object) -> Any:
    wandb = importlib.import_module("wandb")
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    return wandb.init(project=project or DEFAULT_PROJECT, reinit="create_new", settings=settings, **values)
