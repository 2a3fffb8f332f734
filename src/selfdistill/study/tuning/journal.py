"""The journal of a search: finished trials, as an Optuna study in a file of the folder, and suggestions from them."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from selfdistill.errors import UserError
from selfdistill.study.tuning.space import Dimension, Space
from selfdistill.study.tuning.trial import Trial
from selfdistill.train.config import RunConfig

if TYPE_CHECKING:  # of the extra "tune"
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

JOURNAL = "journal.log"
GENERATION = 8  # trials that are suggested, and halved, together
MISSING = "tune needs Optuna: pip install 'selfdistill[tune]'"


class Journal:
    """The finished trials of one method. Raises `UserError` for a journal of another recipe or space."""

    def __init__(self, folder: Path, space: Space, base: RunConfig):
        optuna = import_optuna()
        backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
        self.space = space
        self.study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=space.text,
            direction="maximize",
            load_if_exists=True,
        )
        self._require_same(folder, _description(space, base))

    @property
    def trials(self) -> list[Trial]:
        """The finished trials by number."""
        return [_trial(each) for each in self.study.get_trials(deepcopy=False)]

    def add(self, trial: Trial, epochs: int) -> None:
        """Store a finished trial; `epochs` are those of a whole run."""
        self.study.add_trial(_frozen(trial, self.space.dimensions, epochs))

    def suggest(self, number: int, epochs: int, seed: int) -> dict[str, float]:
        """Return the values of a trial: a function of the seed, and of the generations before the trial's own."""
        start = number - number % GENERATION
        return suggest(self.space, self.trials[:start], number, epochs, seed)

    def _require_same(self, folder: Path, wanted: Mapping[str, object]) -> None:
        stored = self.study.user_attrs.get("search")
        if stored is None:
            self.study.set_user_attr("search", wanted)
        elif others := ", ".join(_differences(_completed(stored, folder), wanted)):
            raise UserError(f"{folder} holds a search of {self.space.text} with another {others}; choose another --out")


def suggest(space: Space, history: Sequence[Trial], number: int, epochs: int, seed: int) -> dict[str, float]:
    """Return the values of a trial after `history`: the defaults for number 0, then those of a seeded TPE sampler.

    J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011.
    """
    if number == 0:
        return space.defaults
    optuna = import_optuna()
    draws = zlib.crc32(f"{seed}:{space.text}:{number}".encode())
    sampler = optuna.samplers.TPESampler(seed=draws, n_startup_trials=GENERATION)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([_frozen(each, space.dimensions, epochs) for each in history])
    found = study.ask({each.name: _distribution(each) for each in space.dimensions}).params
    return {each.name: each.rounded(found[each.name]) for each in space.dimensions}


def importance(space: Space, trials: Sequence[Trial]) -> dict[str, float]:
    """Return the importance of each dimension (fANOVA), for the score at the first rung, which all trials reach.

    The shares sum to 1. Empty for fewer than 4 trials, and for equal scores.

    F. Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014.
    """
    optuna, first = import_optuna(), {each.number: next(iter(each.scores.values())) for each in trials if each.scores}
    whole = [
        Trial(each.number, each.values, {1: first[each.number]})
        for each in trials
        if each.number in first and all(dimension.holds(each.values[dimension.name]) for dimension in space.dimensions)
    ]
    if len(whole) < 4 or len({each.score for each in whole}) < 2:
        return {}
    study = optuna.create_study(direction="maximize")
    study.add_trials([_frozen(each, space.dimensions, 1) for each in whole])
    found = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
    return {name: float(share) for name, share in found.items()}


def import_optuna() -> ModuleType:
    """Import Optuna, without its messages. Raises `UserError` if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError(MISSING) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _description(space: Space, base: RunConfig) -> dict[str, object]:
    """Describe what the trials depend on, as JSON."""
    ranges = {each.name: [*each.range, each.default, each.whole] for each in space.dimensions}
    return {**base.to_json(), "method": space.default, "ranges": ranges}


def _differences(stored: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    return [name.replace("_", " ") for name in wanted if stored.get(name) != wanted[name]]


def _completed(stored: Mapping[str, object], folder: Path) -> dict[str, object]:
    """Return a stored description; fields that an earlier version did not know have their defaults."""
    return {**stored, **RunConfig.from_json(stored, folder / JOURNAL).to_json()}


def _distribution(dimension: Dimension) -> "BaseDistribution":
    distributions, (low, high, log) = import_optuna().distributions, dimension.range
    found: BaseDistribution = (
        distributions.IntDistribution(int(low), int(high), log=log)
        if dimension.whole
        else distributions.FloatDistribution(low, high, log=log)
    )
    return found


def _frozen(trial: Trial, dimensions: Sequence[Dimension], epochs: int) -> "FrozenTrial":
    """Return a trial as Optuna's; a default outside of its range stays in the attributes alone."""
    inside = [each for each in dimensions if each.holds(trial.values[each.name])]
    frozen: FrozenTrial = import_optuna().create_trial(
        state=_state(trial, epochs),
        value=trial.score if trial.error is None and trial.epochs == epochs else None,
        params={each.name: trial.values[each.name] for each in inside},
        distributions={each.name: _distribution(each) for each in inside},
        intermediate_values=dict(trial.scores),
        user_attrs={"values": dict(trial.values), "error": trial.error, "seconds": trial.seconds},
    )
    return frozen


def _state(trial: Trial, epochs: int) -> "TrialState":
    states = import_optuna().trial.TrialState
    ended = states.COMPLETE if trial.epochs == epochs else states.PRUNED
    state: TrialState = ended if trial.error is None else states.FAIL
    return state


def _trial(frozen: "FrozenTrial") -> Trial:
    facts = frozen.user_attrs
    scores = dict(sorted(frozen.intermediate_values.items()))
    return Trial(frozen.number, facts["values"], scores, facts["error"], facts["seconds"])
