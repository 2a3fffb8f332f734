"""Methods side by side: every method with every seed on one model and one data set."""

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfdistill.data import Splits, usual
from selfdistill.distiller import Distiller
from selfdistill.errors import UserError
from selfdistill.methods import method as named
from selfdistill.models import create
from selfdistill.train.config import RunConfig
from selfdistill.train.display import Display, Silent
from selfdistill.train.files import folder_name, make_folder, write_json
from selfdistill.train.run import load_data, run


@dataclass
class Study:
    """The results of a grid by method and seed, and what went wrong."""

    base: RunConfig  # of all runs but for method and seed
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    folder: Path
    results: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """What the others are compared with: plain cross-entropy, or the first method."""
        return "ce()" if "ce()" in self.methods else self.methods[0]

    def finished(self, method: str) -> list[dict[str, Any]]:
        """A method's results, in the order of the seeds."""
        return [self.results[method][seed] for seed in self.seeds if seed in self.results.get(method, {})]


def compare(
    methods: Sequence[str],
    base: RunConfig,
    seeds: Sequence[int],
    folder: str | Path,
    *,
    display: Display | None = None,
) -> Study:
    """Run each method with each seed; skip what is finished, go on with what was interrupted.

    A method that fails is left out and its error kept in `errors`; the others go on. Raises `UserError`
    before any training where a method, the model or the data cannot be had or do not fit.
    """
    texts = tuple(dict.fromkeys(named(method).text for method in methods))
    study = Study(base, texts, tuple(seeds), Path(folder))
    splits = load_data(replace(base, seed=study.seeds[0]))
    for text in texts:
        require_fit(replace(base, method=text), splits)
    write_json(make_folder(study.folder) / "study.json", _facts(study))
    for seed in study.seeds:
        splits = splits if seed == study.seeds[0] else load_data(replace(base, seed=seed))
        for text in texts:
            if text not in study.errors:
                _run(study, text, seed, splits, display or Silent())
    return study


def usual_folder(base: RunConfig) -> Path:
    """Where a study lies that is given no folder: one for each data set, its limit, model and length."""
    data = base.data.rstrip("/").split("/")[-1]
    parts = [data, base.limit, base.model.split("/")[-1], f"{base.epochs}epochs"]
    return Path("runs") / folder_name("-".join(str(each) for each in parts if each))


def with_controls(methods: Sequence[str]) -> list[str]:
    """Each method and, where it has heads or more passes, the same without distillation."""
    made = [named(method) for method in methods]
    pairs = [[each.text, each.as_control().text] if each.has_control else [each.text] for each in made]
    return [text for pair in pairs for text in pair]


def require_fit(config: RunConfig, splits: Splits) -> None:
    """Raise `UserError` where method, model and data do not fit; costs a pass of two images."""
    method = named(config.method)
    student = create(config.model, len(splits.classes), size=splits.train.size, weights=config.weights)
    stand_ins = {role: deepcopy(student) for role in method.teachers}
    example = usual(splits).normalise(splits.train.images[:2])
    Distiller(student, method, example, networks=stand_ins, classifier=config.classifier).close()


def run_folder(folder: Path, method: str, seed: int) -> Path:
    """Where a run of a study lies: a name that can be read and is this method's alone."""
    words = folder_name(method)
    if words != method.removesuffix("()"):
        words = f"{words[:60]}-{hashlib.sha256(method.encode()).hexdigest()[:6]}"
    return folder / "runs" / words / f"seed{seed}"


def _run(study: Study, method: str, seed: int, splits: Splits, display: Display) -> None:
    config = replace(study.base, method=method, seed=seed)
    place = run_folder(study.folder, method, seed)
    try:
        result = run(config, place, resume=True, display=display, teachers=study.folder / "teachers", splits=splits)
        study.results.setdefault(method, {})[seed] = result
    except UserError as error:
        study.errors[method] = str(error)
    except Exception as error:  # a method of somebody's own may raise anything; the others' runs must not be lost
        study.errors[method] = f"{type(error).__name__}: {error}"


def _facts(study: Study) -> dict[str, Any]:
    """What study.json says."""
    return {"methods": list(study.methods), "seeds": list(study.seeds), "base": study.base.to_json()}
