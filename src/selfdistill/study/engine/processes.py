"""An engine of several processes on this machine, each running one job at a time."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from selfdistill.errors import Interrupted
from selfdistill.records import AnyEpoch
from selfdistill.study.engine.job import Job, Outcome, run_job
from selfdistill.train.monitor.listener import Listener

TERMINATE_TIMEOUT = 10  # seconds from terminate to kill

_spawn = multiprocessing.get_context("spawn")  # forked processes would share torch's threads and the device


class ProcessEngine:
    """Run jobs in `count` processes of `threads` torch threads each; several GPUs are assigned round-robin.

    A job whose process dies is queued again once. The processes end with the parent, even if it is killed.
    """

    def __init__(self, count: int, threads: int):
        self.count, self.threads = count, threads

    def __call__(self, jobs: Iterable[Job], listener: Listener) -> Iterator[tuple[Job, Outcome]]:
        """Run the jobs; a process starts when there is a job for it."""
        queue, retries, died = iter(jobs), deque[Job](), set[Job]()
        workers: list[_Worker] = []
        try:
            while True:
                self._assign(workers, queue, retries)
                if not (busy := [each for each in workers if each.job]):
                    return
                for worker in _ready(busy):
                    job, message = worker.job, worker.receive()
                    assert job is not None
                    if isinstance(message, Outcome):
                        worker.job = None
                        yield job, message
                    elif message is not None:
                        hook, *arguments = message
                        getattr(listener.for_job(str(job)), hook)(*arguments)
                    else:
                        workers.remove(worker)
                        if job in died:
                            yield job, Outcome(error=worker.exit_reason())
                        else:
                            died.add(job)
                            retries.append(job)
        finally:
            for worker in workers:
                worker.end()

    def _assign(self, workers: "list[_Worker]", queue: Iterator[Job], retries: deque[Job]) -> None:
        """Assign queued jobs to idle workers."""
        while any(not each.job for each in workers) or len(workers) < self.count:
            job = retries.popleft() if retries else next(queue, None)
            if job is None:
                return
            free = next((each for each in workers if not each.job), None)
            if free is None:
                workers.append(free := _Worker(_device(len(workers)), self.threads))
            free.send(job)


class _Worker:
    """One process and its current job."""

    def __init__(self, device: str | None, threads: int):
        self.job: Job | None = None
        self.connection, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(theirs, threads, device))
        self.process.start()
        theirs.close()  # the process then holds the only other end, so its death raises EOFError here

    def send(self, job: Job) -> None:
        """Send a job."""
        self.job = job
        self.connection.send(job)

    def receive(self) -> Any:
        """Receive an outcome, a call for the listener, or None from a dead process."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            return None

    def exit_reason(self) -> str:
        """Describe how a dead process ended."""
        self.process.join()
        code = self.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"its process died twice ({how}); SIGKILL often means out of memory: try fewer --workers"

    def end(self) -> None:
        """Terminate the process, and kill it if it does not end."""
        self.process.terminate()
        self.process.join(TERMINATE_TIMEOUT)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


class PipeListener(Listener):
    """Send the calls of a run through a connection: name and arguments."""

    def __init__(self, connection: Connection):
        self.connection = connection

    def on_run_files(self, folder: Path) -> None:
        """Forward the call."""
        self.connection.send(("on_run_files", folder))

    def on_run_start(self, title: str, epochs: int, steps: int) -> None:
        """Forward the call."""
        self.connection.send(("on_run_start", title, epochs, steps))

    def on_epoch(self, row: AnyEpoch) -> None:
        """Forward the call."""
        self.connection.send(("on_epoch", row))

    def on_note(self, text: str) -> None:
        """Forward the call."""
        self.connection.send(("on_note", text))

    def on_run_end(self) -> None:
        """Forward the call."""
        self.connection.send(("on_run_end",))

    def on_result(self, result: Mapping[str, object]) -> None:
        """Forward the call."""
        self.connection.send(("on_result", result))


def _serve(connection: Connection, threads: int, device: str | None) -> None:
    """Execute jobs from the connection until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its children
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    with suppress(Interrupted):  # by the parent, after the run has saved its checkpoint
        while True:
            job = connection.recv()
            connection.send(run_job(job, PipeListener(connection)))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _ready(busy: "Sequence[_Worker]") -> "list[_Worker]":
    """Wait for messages, and return the workers that sent one."""
    ready = wait([each.connection for each in busy])
    return [each for each in busy if each.connection in ready]


def _device(place: int) -> str | None:
    """Return the GPU of a worker by its index, if there are several."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(each) for each in range(torch.accelerator.device_count())]
    return devices[place % len(devices)] if len(devices) > 1 else None
