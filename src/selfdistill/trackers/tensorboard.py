"""TensorBoard: event files in the folder "tensorboard" of the run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfdistill.trackers.run_records import RunRecords

FOLDER = "tensorboard"


class TensorBoardRun:
    """An event file; a resumed run adds another, which TensorBoard joins by the steps."""

    def __init__(self, writer: Any):
        self.writer = writer

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the values of an epoch."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()
        self.epoch = epoch

    def finish(self, values: Mapping[str, float], page: Path | None) -> None:
        """Write the final values at step 0 and close the file; TensorBoard holds no report."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, 0)
        self.close()

    def close(self) -> None:
        """Close the event file."""
        self.writer.close()


def open_run(argument: str, records: RunRecords, run_id: str) -> tuple[TensorBoardRun, str]:
    """Open an event file, and write the configuration as text."""
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(records.folder / FOLDER))
    writer.add_text("config", f"```json\n{json.dumps(records.config, indent=2)}\n```")
    return TensorBoardRun(writer), run_id
