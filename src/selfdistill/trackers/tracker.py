"""The contract of a tracker, and the record of what it has received."""

import importlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from selfdistill.errors import UserError
from selfdistill.files import folder_name, make_folder, read_json, write_json
from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import TRACKERS, TrackerSpec

FOLDER = "trackers"  # in the run's
KINDS = {"id": str, "epochs": int, "finished": bool}


class TrackedRun(Protocol):
    """A run that is open in a tracker."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send the values of an epoch, counted from 1."""
        ...

    def finish(self, values: Mapping[str, float], page: Path | None) -> None:
        """Send the final values and the report, and close the run."""
        ...

    def close(self) -> None:
        """Close the run unfinished; it can be opened again by its id."""
        ...


class TrackerModule(Protocol):
    """A module of a tracker."""

    def open_run(self, argument: str, records: RunRecords, run_id: str) -> tuple[TrackedRun, str]:
        """Open the run with this id, new or again, and return it with its id in the tracker."""
        ...


class PageTrackerModule(TrackerModule, Protocol):
    """A module of a tracker that holds reports."""

    def send_page(self, argument: str, group: str, page: Path) -> None:
        """Send the report of a study, as a run of its group."""
        ...


@dataclass(frozen=True)
class Sent:
    """Record of what a tracker has received of a run, kept in the run's folder so that a resumed run goes on."""

    id: str
    epochs: int = 0
    finished: bool = False


def open_run(spec: TrackerSpec, records: RunRecords, run_id: str) -> tuple[TrackedRun, str]:
    """Open a run in a tracker."""
    module: TrackerModule = _module(spec)
    return module.open_run(spec.argument, records, run_id)


def send_page(spec: TrackerSpec, group: str, page: Path) -> None:
    """Send the report of a study to a tracker that holds reports; others have nothing to do."""
    if TRACKERS[spec.name].pages:
        module: PageTrackerModule = _module(spec)
        module.send_page(spec.argument, group, page)


def read_sent(folder: Path, spec: TrackerSpec) -> Sent:
    """Read what a tracker has received of a run; nothing yet without a readable record."""
    fresh = Sent(secrets.token_hex(8))
    try:
        values = read_json(_path(folder, spec))
    except UserError:
        return fresh
    fits = all(type(values.get(key)) is kind for key, kind in KINDS.items())
    return Sent(**{key: values[key] for key in KINDS}) if fits else fresh


def write_sent(folder: Path, spec: TrackerSpec, sent: Sent) -> None:
    """Write what a tracker has received of a run."""
    path = _path(folder, spec)
    make_folder(path.parent)
    write_json(path, vars(sent))


class OpenRun:
    """A run in a tracker, opened when there is something to send; `send` sends what is new in its records."""

    def __init__(self, spec: TrackerSpec, records: RunRecords):
        self.spec, self.records = spec, records
        self.sent = read_sent(records.folder, spec)
        self.tracked: TrackedRun | None = None

    def send(self) -> int:
        """Send the new epochs, and the final values if the run has finished; return the number of epochs sent."""
        if self.sent.finished:
            return 0
        new = [each for each in self.records.epochs() if each[0] > self.sent.epochs]
        final = self.records.final()
        if not new and final is None:
            return 0
        tracked = self.tracked or self._opened()
        for epoch, values in new:
            tracked.log(epoch, values)
            self._write(replace(self.sent, epochs=epoch))
        if final is not None:
            tracked.finish(final, self.records.page())
            self.tracked = None
            self._write(replace(self.sent, finished=True))
        return len(new)

    def close(self) -> None:
        """Close the run in the tracker, unfinished."""
        if self.tracked is not None:
            self.tracked.close()
            self.tracked = None

    def _opened(self) -> TrackedRun:
        self.tracked, run_id = open_run(self.spec, self.records, self.sent.id)
        self._write(replace(self.sent, id=run_id))
        return self.tracked

    def _write(self, sent: Sent) -> None:
        self.sent = sent
        write_sent(self.records.folder, self.spec, sent)


def _module(spec: TrackerSpec) -> Any:
    return importlib.import_module(f"selfdistill.trackers.{TRACKERS[spec.name].module}")


def _path(folder: Path, spec: TrackerSpec) -> Path:
    return folder / FOLDER / f"{folder_name(str(spec))}.json"
