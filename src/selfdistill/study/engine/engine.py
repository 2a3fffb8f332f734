"""Where the runs of a study are made: in this process, in several, or on a cluster."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from selfdistill.errors import UserError
from selfdistill.study.engine.job import Job, Outcome, attempt
from selfdistill.study.engine.processes import ProcessEngine
from selfdistill.study.engine.progress import Told, Watch
from selfdistill.study.engine.ray import RayEngine
from selfdistill.study.study import Study
from selfdistill.system import available_cores, threads_per_worker

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Makes runs, and gives each as it ends."""

    def __call__(self, jobs: Iterable[Job], watch: Watch) -> Iterator[tuple[Job, Outcome]]:
        """Make the jobs; one is taken from `jobs` only when somebody is free to make it."""
        ...


class SerialEngine:
    """One run after another in this process."""

    def __call__(self, jobs: Iterable[Job], watch: Watch) -> Iterator[tuple[Job, Outcome]]:
        """Make the jobs in their order."""
        for job in jobs:
            yield job, attempt(job, Told(watch, job))


def make_engine(
    name: str = "local", workers: int | None = None, threads: int | None = None, address: str | None = None
) -> Engine:
    """The engine of this name; cores are shared out among the workers unless `threads` says how many each has.

    Raises `UserError` for what cannot be.
    """
    for what, count in (("workers", workers), ("threads", threads)):
        if count is not None and count < 1:
            raise UserError(f"{what} must be 1 or more, but is {count}")
    if address and name != "ray":
        raise UserError(f"an address is a Ray cluster's, but the engine is {name}; add --engine ray")
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
    keep: Callable[[Study, Job, Outcome], None],
    engine: Engine,
    watch: Watch,
) -> None:
    """Have all jobs made but those that are done; `keep` is given each outcome with the job's study.

    A job whose row has failed by the time that somebody is free to make it is left out.
    """
    todo = [job for job in owners if job not in done]
    watch.begin(studies, len(owners) - len(todo), len(owners))
    try:
        for job, outcome in engine((job for job in todo if job.row not in owners[job].errors), watch):
            keep(owners[job], job, outcome)
            watch.done(job, outcome)
    finally:
        watch.end()
