"""The commands that repeat a study or a run."""

import shlex
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from selfdistill.report.runs import Run
from selfdistill.study import Study
from selfdistill.train.config import RunConfig


def compare_command(study: Study) -> str:
    """The command that makes the study, or all of it that can be made with one."""
    methods = [row for row in study.methods if row not in study.epochs]
    longer = ["--equal-compute"] if study.compute else []
    words = ["selfdistill", "compare", "--methods", *methods, *longer, "--seeds", str(len(study.seeds))]
    return shlex.join([*words, *options(study.base), "--out", str(study.folder)])


def repeats_all(study: Study) -> bool:
    """Whether the command's seeds are the study's: the first so many."""
    return study.seeds == tuple(range(len(study.seeds)))


def train_command(run: Run) -> str:
    """The command that makes one run, beside where it lies."""
    config = RunConfig.from_json(run.facts["config"])
    out = f"{run.folder.parent.name}-seed{run.seed}"
    return shlex.join(["selfdistill", "train", config.method, "--seed", str(run.seed), *options(config), "--out", out])


def options(config: RunConfig) -> list[str]:
    """A configuration as the command's options: all that are not as by default, and always data, model and epochs."""
    return [
        word for field in fields(config) for word in _option(field.name, getattr(config, field.name), field.default)
    ]


def _option(name: str, value: Any, default: Any) -> Iterator[str]:
    if name in ("method", "seed") or (value == default and name not in ("data", "model", "epochs")):
        return
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        yield f"--{flag}" if value else f"--no-{flag}"
    elif value is not None:
        yield from (f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value))
