"""Tuning: a search of each method on held-out training images, then default beside tuned on fresh seeds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from selfdistill.errors import UserError
from selfdistill.files import make_folder
from selfdistill.study.compare import default_folder, run_studies
from selfdistill.study.engine.engine import Engine, SerialEngine
from selfdistill.study.engine.job import load_splits
from selfdistill.study.study import BASELINE_METHOD, Study
from selfdistill.study.tuning.journal import import_optuna
from selfdistill.study.tuning.outcome import Tuning, recipe_of, tuned_row
from selfdistill.study.tuning.search import Search, Searcher, require_defaults
from selfdistill.study.tuning.space import Space, space_of
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import require_fit


def tune(
    methods: Sequence[str],
    base: RunConfig,
    *,
    budget: int = 40,
    seeds: int = 5,
    folder: str | Path | None = None,
    engine: Engine | None = None,
    listener: Listener | None = None,
) -> Tuning:
    """Search arguments, learning rate and weight decay of each method, and compare default and tuned on fresh seeds.

    `methods` are expressions, whose arguments may be ranges, such as `scd(weight=0.1..30)`; plain cross-entropy is
    added. Each has `budget` trials at the seed of `base`, chosen on its validation images; the comparison trains the
    `seeds` seeds that follow. The same call continues an interrupted one. Raises `UserError` before any training for
    a method or data that do not fit, without validation images, and if Optuna is not installed.

    >>> tuning = sd.study.tune(["drg(alpha=0.1..1)"], sd.RunConfig("ce()", epochs=1, limit=64, validation=0.2),
    ...                        budget=2, seeds=1, folder="runs/tuned")
    >>> [len(search.trials) for search in tuning.searches]
    [2, 2]
    """
    import_optuna()
    spaces = _spaces(methods, base)
    _require(spaces, base, budget, seeds)
    place, engine, listener = Path(folder or tuning_folder(base)), engine or SerialEngine(), listener or Listener()
    with _locked(make_folder(place)):
        searches = Searcher(spaces, base, place, engine, listener).run(budget)
        require_defaults(searches)
        study = final_study(searches, base, seeds, place)
        run_studies([study], place, engine=engine, listener=listener)
    return Tuning(searches, study)


def tuning_folder(base: RunConfig) -> Path:
    """Return the default folder of a tuning."""
    usual = default_folder(base)
    return usual.with_name(f"{usual.name}-tune")


def final_study(searches: Sequence[Search], base: RunConfig, seeds: int, folder: Path) -> Study:
    """Return the study of default and tuned rows, on the seeds after the search's."""
    rows = dict.fromkeys(row for each in searches for row in (each.space.default, tuned_row(each)))
    recipes = {tuned_row(each): recipe_of(each, base) for each in searches if tuned_row(each) != each.space.default}
    fresh = tuple(range(base.seed + 1, base.seed + 1 + seeds))
    study = Study(base, tuple(rows), fresh, folder, recipes=recipes)
    return replace(study, test_images=len(load_splits(study.config(study.methods[0], fresh[0])).test))


def _spaces(methods: Sequence[str], base: RunConfig) -> list[Space]:
    """Return the space of each method once, with plain cross-entropy first if it is missing."""
    spaces = {space.text: space for space in (space_of(each, base) for each in methods)}
    if not any(space.default == BASELINE_METHOD for space in spaces.values()):
        spaces = {BASELINE_METHOD: space_of(BASELINE_METHOD, base), **spaces}
    twice = [
        space.text for space in spaces.values() if [each.default for each in spaces.values()].count(space.default) > 1
    ]
    if twice:
        raise UserError(f"{' and '.join(twice)} have the same defaults; tune them in two commands with two --out")
    return list(spaces.values())


def _require(spaces: Sequence[Space], base: RunConfig, budget: int, seeds: int) -> None:
    """Raise `UserError` for what does not fit, before any training."""
    for name, count in (("budget", budget), ("seeds", seeds)):
        if count < 1:
            raise UserError(f"{name} must be 1 or more, but is {count}")
    if base.devices * base.nodes > 1:
        raise UserError(
            f"tune trains each run in one process, but devices x nodes is {base.devices * base.nodes}; pass --workers"
        )
    if base.patience is not None:
        raise UserError("tune stops trials by successive halving; leave --patience out")
    if not base.whole:
        raise UserError(f"tune halves whole epochs, but a run has {base.length}; pass whole --epochs, without --steps")
    splits = load_splits(base)
    if splits.validation is None:
        raise UserError(
            f"tune chooses on held-out training images, but {base.data} has no validation images; pass --validation 0.2"
        )
    for space in spaces:
        require_fit(space.config(base, space.defaults), splits)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder. Raises `UserError` while another process tunes there."""
    try:
        with FileLock(folder / ".tune.lock", timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"another process tunes in {folder}; wait for it, or choose another --out; --workers shares one search"
        ) from None
