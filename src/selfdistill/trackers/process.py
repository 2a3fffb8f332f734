"""A process of its own for each tracker, so that one that hangs, fails or draws random numbers changes no run."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.queues import Queue
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import one_line
from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import TrackerSpec
from selfdistill.trackers.tracker import OpenRun, send_page

CLOSE_TIMEOUT = 60.0  # seconds that a tracker has at the end of the command
ORPHAN_TIMEOUT = 10.0  # seconds that it has after the command was killed
LONGEST = 300  # characters of an error that are shown

_spawn = multiprocessing.get_context("spawn")  # forked processes would share torch's threads
Message = tuple[str, str]  # verb, and the folder or file that it concerns


class TrackerProcess:
    """Send runs to a tracker from another process; never blocks, and never raises.

    `on_note` receives one line at the first failure.
    """

    def __init__(
        self, spec: TrackerSpec, group: str, on_note: Callable[[str], None], close_timeout: float = CLOSE_TIMEOUT
    ):
        self.spec, self.on_note, self.close_timeout = spec, on_note, close_timeout
        self.failed = False
        self.inbox: Queue[Message] = _spawn.Queue()
        self.inbox.cancel_join_thread()  # a tracker that reads no more must not hold this process at its end
        self.outbox, theirs = _spawn.Pipe(duplex=False)
        self.process = _spawn.Process(target=_serve, args=(spec, group, self.inbox, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, folder: Path) -> None:
        """Send what is new in the records of a run."""
        self._put("run", folder)

    def send_page(self, path: Path) -> None:
        """Send the report of a study."""
        self._put("page", path)

    def close(self) -> None:
        """Wait until everything is sent, at most `close_timeout` seconds."""
        self._put("close", Path())
        self.process.join(self.close_timeout)
        if self.process.is_alive():
            self._fail(f"did not answer within {self.close_timeout:.0f} seconds")
            self.process.kill()
            self.process.join()
        self._read_notes()
        if self.process.exitcode:
            self._fail(f"ended with {_exit_words(self.process.exitcode)}")
        self.outbox.close()

    def _put(self, verb: str, path: Path) -> None:
        self._read_notes()
        self.inbox.put((verb, str(path)))

    def _read_notes(self) -> None:
        """Read the failures that the process has told."""
        with suppress(EOFError, OSError):
            while self.outbox.poll():
                self._fail(str(self.outbox.recv()))

    def _fail(self, reason: str) -> None:
        if not self.failed:
            self.failed = True
            self.on_note(
                f"the tracker {self.spec} {reason}; runs go on without it, and "
                f"`selfdistill log RUN --to {self.spec}` sends them later"
            )


def _serve(spec: TrackerSpec, group: str, inbox: "Queue[Message]", outbox: Connection) -> None:
    """Send runs as messages arrive; what a failed message left is sent by the next one of its run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _silence()
    runs: dict[str, OpenRun] = {}
    for verb, path in iter(inbox.get, None):
        try:
            if verb == "close":
                break
            if verb == "page":
                send_page(spec, group, Path(path))
            else:
                run = runs.get(path) or runs.setdefault(path, OpenRun(spec, RunRecords(Path(path), group)))
                run.send()
        except Exception as error:  # whatever a tracker's library raises
            with suppress(OSError):
                outbox.send(f"failed: {describe(error)}")
    for run in runs.values():
        with suppress(Exception):
            run.close()


def describe(error: Exception) -> str:
    """Describe an error in one short line."""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}")[:LONGEST]


def _silence() -> None:
    """Discard what the tracker's library prints, which would break the progress display."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)


def _end_with_the_parent() -> None:
    """End soon after the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        threading.Event().wait(ORPHAN_TIMEOUT)
        os._exit(1)


def _exit_words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
