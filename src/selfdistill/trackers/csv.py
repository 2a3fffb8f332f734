"""CSV: epochs.csv in the run's folder, a line for each epoch."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from selfdistill.files import write_atomic
from selfdistill.trackers.run_records import RunRecords

FILE = "epochs.csv"


class CSVRun:
    """A table of all epochs, written anew from the records at each epoch: names of losses may come later."""

    def __init__(self, records: RunRecords):
        self.records = records

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the epochs."""
        self._write()

    def finish(self, values: Mapping[str, float], page: Path | None) -> None:
        """Write the epochs; final values are in result.json."""
        self._write()

    def close(self) -> None:
        """Do nothing: the file is complete after each epoch."""

    def _write(self) -> None:
        rows = self.records.epochs()
        names = list(dict.fromkeys(name for _, values in rows for name in values))
        file = io.StringIO()
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["epoch", *names])
        lines.writerows([epoch, *(values.get(name, "") for name in names)] for epoch, values in rows)
        write_atomic(self.records.folder / FILE, lambda beside: beside.write_text(file.getvalue(), encoding="utf-8"))


def open_run(argument: str, records: RunRecords, run_id: str) -> tuple[CSVRun, str]:
    """Open the table of a run."""
    return CSVRun(records), run_id
