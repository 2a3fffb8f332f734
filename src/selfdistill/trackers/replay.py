"""Recorded runs are sent to a tracker."""

from collections.abc import Iterator
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.records import RUN
from selfdistill.trackers.process import describe
from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import TrackerSpec
from selfdistill.trackers.tracker import OpenRun


def replay(folder: Path, spec: TrackerSpec) -> Iterator[tuple[Path, int, str | None]]:
    """Send the runs in a folder; yield each run's folder, the number of epochs sent, and the error or None.

    Raises `UserError` for a folder without runs.
    """
    runs = sorted(path.parent for path in folder.rglob(RUN))
    if not runs:
        raise UserError(f"{folder} holds no run; pass the folder of a run or of a study")
    group = folder.resolve().name if len(runs) > 1 else folder.resolve().parent.name
    for each in runs:
        run = OpenRun(spec, RunRecords(each, group))
        try:
            yield each, run.send(), None
        except Exception as error:  # whatever a tracker's library raises
            yield each, 0, describe(error)
        finally:
            run.close()
