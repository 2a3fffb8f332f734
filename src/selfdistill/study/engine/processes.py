"""Several processes on this machine, each making one run at a time."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from selfdistill.errors import Interrupted
from selfdistill.study.engine.job import Job, Outcome, attempt
from selfdistill.study.engine.progress import Told, Unwatched, Watch

PATIENCE = 10  # seconds that a process has to end before it is killed

_spawn = multiprocessing.get_context("spawn")  # forked ones would share torch's threads and the device


class ProcessEngine:
    """So many processes of so many torch threads each; with several GPUs they take turns at them.

    A run whose process dies goes back in the queue once. The processes end with this one, however it ends.
    """

    def __init__(self, count: int, threads: int):
        self.count, self.threads = count, threads

    def __call__(self, jobs: Iterable[Job], watch: Watch) -> Iterator[tuple[Job, Outcome]]:
        """Make the jobs; a process starts when there is something for it to do."""
        waiting, again, died = iter(jobs), deque[Job](), set[Job]()
        staff: list[_Worker] = []
        try:
            while True:
                self._hand_out(staff, waiting, again)
                if not (busy := [each for each in staff if each.job]):
                    return
                for worker in _with_news(busy):
                    job, news = worker.job, worker.news()
                    assert job is not None
                    if isinstance(news, Outcome):
                        worker.job = None
                        yield job, news
                    elif news is not None:
                        name, *words = news
                        getattr(watch, name)(job, *words)
                    else:
                        staff.remove(worker)
                        if job in died:
                            yield job, Outcome(error=worker.last_words())
                        else:
                            died.add(job)
                            again.append(job)
        finally:
            for worker in staff:
                worker.end()

    def _hand_out(self, staff: "list[_Worker]", waiting: Iterator[Job], again: deque[Job]) -> None:
        """Give everyone who is free a job, as long as there are any."""
        while any(not each.job for each in staff) or len(staff) < self.count:
            job = again.popleft() if again else next(waiting, None)
            if job is None:
                return
            free = next((each for each in staff if not each.job), None)
            if free is None:
                staff.append(free := _Worker(_device(len(staff)), self.threads))
            free.give(job)


class _Worker:
    """One process, and what it is at."""

    def __init__(self, device: str | None, threads: int):
        self.job: Job | None = None
        self.connection, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(theirs, threads, device))
        self.process.start()
        theirs.close()  # so that the process holds the only other end, and its death is news

    def give(self, job: Job) -> None:
        """Have a job made."""
        self.job = job
        self.connection.send(job)

    def news(self) -> Any:
        """An outcome, something for the watch, or None from a process that is dead."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            return None

    def last_words(self) -> str:
        """How a dead process ended."""
        self.process.join()
        code = self.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"its process died twice ({how}); with SIGKILL memory is often short: try fewer --workers"

    def end(self) -> None:
        """Stop, at once if need be."""
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


class _Wire(Unwatched):
    """A watch at the other end of a connection."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def start(self, job: Job, title: str, epochs: int) -> None:
        self.connection.send(("start", title, epochs))

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        self.connection.send(("epoch", row))

    def note(self, job: Job, words: str) -> None:
        self.connection.send(("note", words))


def _serve(connection: Connection, threads: int, device: str | None) -> None:
    """Make what is asked for, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its children
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    with suppress(Interrupted):  # by the parent; all is saved
        while True:
            job = connection.recv()
            connection.send(attempt(job, Told(_Wire(connection), job)))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _with_news(busy: "Sequence[_Worker]") -> "list[_Worker]":
    """Those who have something to say, once there is one."""
    ready = wait([each.connection for each in busy])
    return [each for each in busy if each.connection in ready]


def _device(place: int) -> str | None:
    """The GPU of the worker at this place, if there are several to share out."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(each) for each in range(torch.cuda.device_count())]
    return devices[place % len(devices)] if len(devices) > 1 else None
