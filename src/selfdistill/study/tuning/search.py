"""The search of several methods: generations of trials, halved at the rungs, with the runs in an engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from selfdistill.errors import UserError
from selfdistill.study.compare import run_folder
from selfdistill.study.engine.engine import Engine
from selfdistill.study.engine.job import Outcome
from selfdistill.study.tuning.halving import rungs, survivors
from selfdistill.study.tuning.job import TrialJob, remove_checkpoints
from selfdistill.study.tuning.journal import GENERATION, Journal
from selfdistill.study.tuning.space import Space
from selfdistill.study.tuning.trial import Trial, best_trial
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener, RowStatus


@dataclass(frozen=True)
class Search:
    """The search of one method: its space and its finished trials by number."""

    space: Space
    trials: Sequence[Trial]
    epochs: int  # of a whole run

    @property
    def best(self) -> Trial | None:
        """The trial that is chosen, never worse on the validation images than the defaults; None if all failed."""
        return best_trial(self.trials, self.epochs)

    @property
    def epochs_trained(self) -> int:
        """Epochs of all trials together."""
        return sum(each.epochs for each in self.trials)

    @property
    def seconds(self) -> float:
        """Seconds of training of all trials together."""
        return sum(each.seconds for each in self.trials)


class Searcher:
    """Runs the searches of several methods at once, on the training images of `base` at its seed."""

    def __init__(self, spaces: Sequence[Space], base: RunConfig, folder: Path, engine: Engine, listener: Listener):
        self.base, self.folder, self.engine, self.listener = base, folder, engine, listener
        self.journals = {space.text: Journal(folder, space, base) for space in spaces}
        self.rungs = rungs(int(base.epochs))

    def run(self, budget: int) -> list[Search]:
        """Search `budget` trials of each method; those in the journal are not repeated."""
        for start in range(0, budget, GENERATION):
            self._generation(range(start, min(start + GENERATION, budget)))
        return [Search(journal.space, journal.trials[:budget], self.rungs[-1]) for journal in self.journals.values()]

    def _generation(self, numbers: range) -> None:
        """Train one generation of all methods rung by rung, and store its trials."""
        trials = {name: list(self._trials(journal, numbers)) for name, journal in self.journals.items()}
        alive = {name: set(numbers) for name in trials}
        for rung in self.rungs:
            todo = [
                self._job(name, trial, rung)
                for name, each in trials.items()
                for trial in each
                if trial.number in alive[name] and trial.error is None and not self._is_stored(name, trial)
            ]
            outcomes = self._train(todo)
            trials = {name: [_reached(each, outcomes, name, rung) for each in trials[name]] for name in trials}
            alive = {name: _alive(each, rung, last=rung == self.rungs[-1]) for name, each in trials.items()}
        for name, each in trials.items():
            self._store(name, each)

    def _trials(self, journal: Journal, numbers: range) -> Iterator[Trial]:
        """Yield the trials of a generation, as stored, or new ones."""
        stored = journal.trials
        for number in numbers:
            if number < len(stored):
                yield stored[number]
            else:
                values = journal.suggest(number, self.rungs[-1], self.base.seed)
                yield Trial(number, values, error=_mismatch(journal.space, values))

    def _is_stored(self, name: str, trial: Trial) -> bool:
        return trial.number < len(self.journals[name].trials)

    def _store(self, name: str, trials: Sequence[Trial]) -> None:
        for trial in trials:
            if not self._is_stored(name, trial):
                self.journals[name].add(trial, self.rungs[-1])
            remove_checkpoints(self._place(name, trial))

    def _place(self, name: str, trial: Trial) -> Path:
        return run_folder(self.folder / "search", name, 0).with_name(f"trial{trial.number}")

    def _job(self, name: str, trial: Trial, rung: int) -> TrialJob:
        config = self.journals[name].space.config(self.base, trial.values)
        return TrialJob(name, config, self._place(name, trial), self.folder / "teachers", trial.number, rung)

    def _train(self, jobs: Sequence[TrialJob]) -> dict[tuple[str, int], Outcome]:
        """Return the outcome of each job by method and trial; those whose rung is in their log are read."""
        done = {(job.row, job.trial): Outcome(job.measure()) for job in jobs if job.done}
        todo = [job for job in jobs if (job.row, job.trial) not in done]
        if not todo:
            return done
        self.listener.on_study_start(self._statuses, len(done), len(jobs))
        try:
            for job, outcome in self.engine(todo, self.listener):
                done[job.row, cast(TrialJob, job).trial] = outcome
                self.listener.on_job_end(job.status(outcome))
        finally:
            self.listener.on_study_end()
        return done

    def _statuses(self) -> list[RowStatus]:
        """Return the scores of the stored trials, for a display."""
        title = self.base.resolved_task.title
        return [
            RowStatus(name, title, [each.score for each in trials if each.scores], len(trials), failed=False)
            for name, trials in ((name, journal.trials) for name, journal in self.journals.items())
        ]


def _mismatch(space: Space, values: Mapping[str, float]) -> str | None:
    """Return why the values are no method, such as arguments that exclude each other; None if they are one."""
    try:
        space.method(values)
    except UserError as error:
        return str(error)
    return None


def _reached(trial: Trial, outcomes: Mapping[tuple[str, int], Outcome], name: str, rung: int) -> Trial:
    """Return a trial with the outcome of its job at a rung, if it had one."""
    outcome = outcomes.get((name, trial.number))
    if outcome is None:
        return trial
    if outcome.result is None:
        return replace(trial, error=outcome.error)
    score, seconds = cast(float, outcome.result["score"]), cast(float, outcome.result["seconds"])
    return replace(trial, scores={**trial.scores, rung: score}, seconds=seconds)


def _alive(trials: Sequence[Trial], rung: int, last: bool) -> set[int]:
    """Return the trials that go on after a rung."""
    scores = {each.number: each.scores[rung] for each in trials if rung in each.scores and each.error is None}
    return set() if last else set(survivors(scores, always=0))


def require_defaults(searches: Sequence[Search]) -> None:
    """Raise `UserError` for a method whose trials have all failed."""
    for each in searches:
        if each.best is None:
            raise UserError(f"{each.space.text}: every trial has failed, the defaults too: {each.trials[0].error}")
