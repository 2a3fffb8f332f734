"""Commands that reproduce a study or a run."""

import shlex
from collections.abc import Iterator
from dataclasses import fields

from selfdistill.report.runs import Run
from selfdistill.study import Study
from selfdistill.train.config import RunConfig

OWN = {"method", "seed", "folds", "fold", "task", "recipe"}  # fields that are no common options


def compare_command(study: Study) -> str:
    """Return the command that reproduces the study."""
    methods = [row for row in study.methods if row not in study.epochs and row not in study.recipes]
    longer = ["--equal-compute"] if study.compute else []
    folds = [] if study.folds is None else ["--folds", str(study.folds)]
    words = ["selfdistill", "compare", "--methods", *methods, *longer, "--seeds", str(len(study.seeds)), *folds]
    return shlex.join([*words, *options(study.base), "--out", str(study.folder)])


def has_default_seeds(study: Study) -> bool:
    """Return whether the seeds are 0 to n - 1, as the command trains them."""
    return study.seeds == tuple(range(len(study.seeds)))


def train_command(run: Run) -> str:
    """Return the command that reproduces one run in a new folder."""
    config = RunConfig.from_json(run.facts["config"])
    folds = [] if config.folds is None else ["--folds", str(config.folds), "--fold", str(config.fold)]
    words = ["selfdistill", "train", config.method, "--seed", str(config.seed), *folds, *options(config)]
    return shlex.join([*words, "--out", f"{run.folder.parent.name}-{run.folder.name}"])


def options(config: RunConfig) -> list[str]:
    """Return the command-line options of a configuration: data, model, epochs and all non-default values.

    Method, fold and seed are the command's own. The task is left out, because the data determine it, and the recipe,
    because its values are named.
    """
    return [
        word for field in fields(config) for word in _option(field.name, getattr(config, field.name), field.default)
    ]


def _option(name: str, value: object, default: object) -> Iterator[str]:
    if name in OWN or (value == default and name not in ("data", "model", "epochs")):
        return
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        yield f"--{flag}" if value else f"--no-{flag}"
    elif value is not None:
        yield from (f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value))
