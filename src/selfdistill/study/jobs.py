"""Jobs of some studies, given to an engine."""

from collections.abc import Callable, Collection, Mapping, Sequence

from selfdistill.study.engine import Engine
from selfdistill.study.job import Job, Outcome
from selfdistill.study.study import Study
from selfdistill.study.watch import Watch


def carry_out(
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
