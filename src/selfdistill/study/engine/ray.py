"""An engine on Ray: a cluster, or processes on this machine."""

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfdistill.errors import UserError
from selfdistill.study.engine.job import Job, Outcome, run_job
from selfdistill.system import available_cores, threads_per_worker
from selfdistill.train.monitor.listener import Listener

CONNECT_TIMEOUT = 10  # seconds
RAY_MISSING = "the engine ray needs Ray: pip install 'selfdistill[ray]', or choose --engine local"


class RayEngine:
    """Run jobs as Ray tasks, `workers` at a time with `threads` threads each; without an address on this machine.

    Ray retries a job once if its process dies. All machines must have this package and see the study's folder.
    """

    def __init__(self, workers: int | None, threads: int | None, address: str | None):
        self.workers, self.threads, self.address = workers, threads, address
        _import_ray()  # raises `UserError` before anything is loaded or trained

    def __call__(self, jobs: Iterable[Job], listener: Listener) -> Iterator[tuple[Job, Outcome]]:
        """Run the jobs; a cluster that was started here is shut down afterwards."""
        ray = _import_ray()
        self._connect(ray)
        try:
            yield from self._run(ray, iter(jobs), listener)
        finally:
            ray.shutdown()

    def _run(self, ray: Any, queue: Iterator[Job], listener: Listener) -> Iterator[tuple[Job, Outcome]]:
        workers, options = self._resources(ray)
        task = ray.remote(**options)(run_remotely)
        running: dict[object, Job] = {}
        while True:
            while len(running) < workers and (job := next(queue, None)) is not None:
                listener.for_job(str(job)).on_run_start(str(job), job.epochs, 0)
                running[task.remote(job, os.getcwd(), sys.path)] = job
            if not running:
                return
            for ref in ray.wait(list(running))[0]:
                yield running.pop(ref), _outcome(ray, ref)

    def _connect(self, ray: Any) -> None:
        wanted = (self.workers or 1) * (self.threads or 1)
        alone = {"address": "local", "num_cpus": max(available_cores(), wanted), "include_dashboard": False}
        there = {"address": self.address} if self.address else alone
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            _require_reachable(self.address or "")
            ray.init(**there, log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise UserError(
                f"cannot reach a Ray cluster at {self.address}: {first}; start one with ray start --head and "
                "give its RAY_AUTH_TOKEN, or omit --address"
            ) from None

    def _resources(self, ray: Any) -> tuple[int, dict[str, object]]:
        """Return the number of concurrent runs, and the resources that each takes from the cluster."""
        whole = ray.cluster_resources()
        workers = self.workers or max(1, sum(each["Alive"] for each in ray.nodes()))
        threads = self.threads or threads_per_worker(int(whole["CPU"]), workers)
        gpus = min(1.0, whole.get("GPU", 0) / workers)
        return workers, {"num_cpus": threads, "num_gpus": gpus, "max_retries": 1}


def run_remotely(job: Job, folder: str, path: list[str]) -> Outcome:
    """Run a job in a process of the cluster, with the study's working directory and import path."""
    import ray
    import torch

    sys.path.extend(each for each in path if each not in sys.path)
    if not Path(folder).is_dir() or not job.teachers.absolute().parent.is_dir():
        node = ray.util.get_node_ip_address()
        return Outcome(
            error=f"the folder {job.teachers.parent} does not exist on {node}; choose an --out that all machines share"
        )
    os.chdir(folder)
    torch.set_num_threads(int(ray.get_runtime_context().get_assigned_resources()["CPU"]))
    return run_job(job, None)


def _require_reachable(address: str) -> None:
    """Raise `OSError` if HOST:PORT refuses connections; Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT).close()


def _outcome(ray: Any, ref: object) -> Outcome:
    try:
        outcome: Outcome = ray.get(ref)
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0]
        return Outcome(error=f"its process died twice ({type(error).__name__}: {first})")
    return outcome


def _import_ray() -> Any:
    """Import Ray. Raises `UserError` if it is not installed."""
    try:
        import ray
    except ImportError:
        raise UserError(RAY_MISSING) from None
    return ray
