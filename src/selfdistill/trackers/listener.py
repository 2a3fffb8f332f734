"""Listener that sends runs to trackers as their records grow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selfdistill.records import AnyEpoch
from selfdistill.trackers.process import TrackerProcess
from selfdistill.trackers.spec import TrackerSpec
from selfdistill.train.monitor.listener import JobStatus, Listener


class RunTracking(Listener):
    """Send the runs of a job, its teachers' and then its own, after each epoch."""

    def __init__(self, processes: Sequence[TrackerProcess]):
        self.processes = processes
        self.folder: Path | None = None

    def on_run_files(self, folder: Path) -> None:
        """Follow the run whose files lie in this folder."""
        self.folder = folder
        self._send()

    def on_epoch(self, row: AnyEpoch) -> None:
        """Send the epoch."""
        self._send()

    def on_result(self, result: Mapping[str, object]) -> None:
        """Send the result."""
        self._send()

    def _send(self) -> None:
        if self.folder is not None:
            for each in self.processes:
                each.send(self.folder)


class Tracking(RunTracking):
    """Send all runs of a command to its trackers; `close` waits until they are sent."""

    def __init__(self, specs: Sequence[TrackerSpec], group: str, on_note: Callable[[str], None]):
        super().__init__([TrackerProcess(spec, group, on_note) for spec in specs])
        self.jobs: dict[str, RunTracking] = {}

    def for_job(self, name: str) -> Listener:
        """Return the listener of a job, the same for every call."""
        return self.jobs.setdefault(name, RunTracking(self.processes))

    def on_job_end(self, job: JobStatus) -> None:
        """Send a run whose events do not reach this process, such as one of a cluster."""
        self.jobs.pop(job.name, None)
        if job.result is not None:
            for each in self.processes:
                each.send(job.folder)

    def send_page(self, path: Path) -> None:
        """Send the report of a study."""
        for each in self.processes:
            each.send_page(path)

    def close(self) -> None:
        """Wait until everything is sent."""
        for each in self.processes:
            each.close()
