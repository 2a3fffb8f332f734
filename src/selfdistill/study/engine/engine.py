"""Engines that run the jobs of a study: in this process, in several, or on a Ray cluster."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from selfdistill.errors import UserError
from selfdistill.study.engine.job import Job, Outcome, run_job
from selfdistill.study.engine.processes import ProcessEngine
from selfdistill.study.engine.ray import RayEngine
from selfdistill.study.study import Study, describe_runs
from selfdistill.system import available_cores, threads_per_worker
from selfdistill.train.monitor.listener import Listener, RowStatus

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Runs jobs and yields each with its outcome as it ends."""

    def __call__(self, jobs: Iterable[Job], listener: Listener) -> Iterator[tuple[Job, Outcome]]:
        """Run the jobs; the next is taken from `jobs` only when a worker is idle."""
        ...


class SerialEngine:
    """Run one job after another in this process."""

    def __call__(self, jobs: Iterable[Job], listener: Listener) -> Iterator[tuple[Job, Outcome]]:
        """Run the jobs in order."""
        for job in jobs:
            yield job, run_job(job, listener.for_job(str(job)))


def make_engine(
    name: str = "local", workers: int | None = None, threads: int | None = None, address: str | None = None
) -> Engine:
    """Create an engine by name; the cores are divided among the workers unless `threads` is given.

    Raises `UserError` for an unknown name or an option that does not fit.
    """
    for option, count in (("workers", workers), ("threads", threads)):
        if count is not None and count < 1:
            raise UserError(f"{option} must be 1 or more, but is {count}")
    if address and name != "ray":
        raise UserError(f"--address is for Ray clusters, but the engine is {name}; add --engine ray")
    if name == "ray":
        return RayEngine(workers, threads, address)
    if name != "local":
        raise UserError(f"there is no engine {name!r}; choose {' or '.join(ENGINES)}")
    if (workers or 1) == 1 and threads is None:
        return SerialEngine()
    return ProcessEngine(workers or 1, threads or threads_per_worker(available_cores(), workers or 1))


def run_jobs(
    studies: Sequence[Study],
    owners: Mapping[Job, Study],
    done: Collection[Job],
    store: Callable[[Study, Job, Outcome], None],
    engine: Engine,
    listener: Listener,
) -> None:
    """Run all jobs but those in `done`, and call `store` with each outcome and the job's study.

    A job is left out if its row has failed before a worker is idle.
    """
    todo = [job for job in owners if job not in done]
    listener.on_study_start(partial(row_statuses, studies), len(owners) - len(todo), len(owners))
    try:
        for job, outcome in engine((job for job in todo if job.row not in owners[job].errors), listener):
            store(owners[job], job, outcome)
            listener.on_job_end(job.status(outcome))
    finally:
        listener.on_study_end()


def row_statuses(studies: Sequence[Study]) -> list[RowStatus]:
    """Return the current rows of all studies; with several studies the names include the shared settings."""
    return [_row_status(study, row, several=len(studies) > 1) for study in studies for row in study.methods]


def _row_status(study: Study, row: str, several: bool) -> RowStatus:
    scores = list(study.scores(row).values())
    name = f"{row}, {describe_runs(study.base)}" if several else row
    return RowStatus(name, study.task.title, scores, len(study.keys), row in study.errors)
