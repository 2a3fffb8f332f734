"""Where the runs of a study are made: in this process, in several, or on a cluster."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from selfdistill.errors import UserError
from selfdistill.study.cluster import Cluster
from selfdistill.study.cores import cores, shared_out
from selfdistill.study.job import Job, Outcome, attempt
from selfdistill.study.watch import Told, Watch
from selfdistill.study.workers import Workers

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Makes runs, and gives each as it ends."""

    def __call__(self, jobs: Iterable[Job], watch: Watch) -> Iterator[tuple[Job, Outcome]]:
        """Make the jobs; one is taken from `jobs` only when somebody is free to make it."""
        ...


class Here:
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
        return Cluster(workers, threads, address)
    if name != "local":
        raise UserError(f"there is no engine {name!r}; choose {' or '.join(ENGINES)}")
    if (workers or 1) == 1 and threads is None:
        return Here()
    return Workers(workers or 1, threads or shared_out(cores(), workers or 1))
