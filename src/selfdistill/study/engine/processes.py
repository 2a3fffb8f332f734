"""An engine of several processes on this machine, each running one job at a time."""

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
from selfdistill.records import EpochRow
from selfdistill.study.engine.job import Job, Outcome, attempt
from selfdistill.train.monitor.listener import Listener

PATIENCE = 10  # seconds that a process has to end before it is killed

_spawn = multiprocessing.get_context("spawn")  # forked ones would share torch's threads and the device


class ProcessEngine:
    """`count` processes of `threads` torch threads each; several GPUs are assigned round-robin.

    A job whose process dies is queued again once. The processes end with this one, however it ends.
    """

    def __init__(self, count: int, threads: int):
        self.count, self.threads = count, threads

    def __call__(self, jobs: Iterable[Job], listener: Listener) -> Iterator[tuple[Job, Outcome]]:
        """Run the jobs; a process starts when there is a job for it."""
        waiting, again, died = iter(jobs), deque[Job](), set[Job]()
        staff: list[_Worker] = []
        try:
            while True:
                self._assign(staff, waiting, again)
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
                        getattr(listener.for_job(str(job)), name)(*words)
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

    def _assign(self, staff: "list[_Worker]", waiting: Iterator[Job], again: deque[Job]) -> None:
        """Assign queued jobs to idle workers."""
        while any(not each.job for each in staff) or len(staff) < self.count:
            job = again.popleft() if again else next(waiting, None)
            if job is None:
                return
            free = next((each for each in staff if not each.job), None)
            if free is None:
                staff.append(free := _Worker(_device(len(staff)), self.threads))
            free.give(job)


class _Worker:
    """One process and its current job."""

    def __init__(self, device: str | None, threads: int):
        self.job: Job | None = None
        self.connection, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(theirs, threads, device))
        self.process.start()
        theirs.close()  # so that the process holds the only other end, and its death is news

    def give(self, job: Job) -> None:
        """Send a job."""
        self.job = job
        self.connection.send(job)

    def news(self) -> Any:
        """Receive an outcome, a call for the listener, or None from a dead process."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            return None

    def last_words(self) -> str:
        """Describe how a dead process ended."""
        self.process.join()
        code = self.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"its process died twice ({how}); with SIGKILL memory is often short: try fewer --workers"

    def end(self) -> None:
        """Terminate the process, and kill it if it does not end."""
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


class PipeListener(Listener):
    """Send the calls of a run through a connection: name and arguments."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Send it."""
        self.connection.send(("on_run_start", title, epochs, steps))

    def on_epoch(self, row: EpochRow) -> None:
        """Send it."""
        self.connection.send(("on_epoch", row))

    def on_note(self, text: str) -> None:
        """Send it."""
        self.connection.send(("on_note", text))

    def on_run_end(self) -> None:
        """Send it."""
        self.connection.send(("on_run_end",))


def _serve(connection: Connection, threads: int, device: str | None) -> None:
    """Execute jobs from the connection until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its children
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    with suppress(Interrupted):  # by the parent; all is saved
        while True:
            job = connection.recv()
            connection.send(attempt(job, PipeListener(connection)))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _with_news(busy: "Sequence[_Worker]") -> "list[_Worker]":
    """Wait for messages, and return the workers that sent one."""
    ready = wait([each.connection for each in busy])
    return [each for each in busy if each.connection in ready]


def _device(place: int) -> str | None:
    """Return the GPU of a worker by its index, if there are several."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(each) for each in range(torch.cuda.device_count())]
    return devices[place % len(devices)] if len(devices) > 1 else None
