"""The trackers by name, and their specifications, such as "wandb:PROJECT"."""

import importlib.util
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

from selfdistill.errors import UserError

DEFAULT_PROJECT = "selfdistill"


class TrackerKind(NamedTuple):
    """A tracker: its module here, its syntax, and the package that it needs."""

    module: str
    usage: str
    about: str
    package: str | None = None  # as imported; None: nothing beyond this library
    extra: str | None = None  # of this library, which installs the package
    pages: bool = False  # holds the report of a study


TRACKERS = {
    "tensorboard": TrackerKind(
        "tensorboard", "tensorboard", "event files in the run's folder", "tensorboard", "tensorboard"
    ),
    "wandb": TrackerKind(
        "wandb", "wandb[:PROJECT]", "Weights & Biases, online or offline", "wandb", "wandb", pages=True
    ),
    "mlflow": TrackerKind(
        "mlflow", "mlflow[:URI]", "an MLflow server or a local store", "mlflow", "mlflow", pages=True
    ),
    "trackio": TrackerKind("trackio", "trackio[:PROJECT]", "Trackio's local store", "trackio", "trackio"),
    "csv": TrackerKind("csv", "csv", "epochs.csv in the run's folder"),
}


class TrackerSpec(NamedTuple):
    """A tracker and its argument: a project or a URI, or ""."""

    name: str
    argument: str

    def __str__(self) -> str:
        return f"{self.name}:{self.argument}" if self.argument else self.name


def parse_trackers(texts: Sequence[str]) -> list[TrackerSpec]:
    """Parse specifications such as "tensorboard" and "mlflow:http://localhost:5000", each once.

    Raises `UserError` for an unknown tracker, an argument that does not fit, and a package that is not installed.

    >>> parse_trackers(["csv"])
    [TrackerSpec(name='csv', argument='')]
    """
    specs = list(dict.fromkeys(_parse(text) for text in texts))
    for spec in specs:
        _require_package(spec)
    return specs


def usages() -> str:
    """Return the syntax of all trackers: "tensorboard, wandb[:PROJECT] …"."""
    return ", ".join(each.usage for each in TRACKERS.values())


def _parse(text: str) -> TrackerSpec:
    name, colon, argument = text.partition(":")
    if name not in TRACKERS:
        near = get_close_matches(name, TRACKERS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"there is no tracker {name!r}; {hint}there are {usages()}")
    if colon and not argument:
        raise UserError(f"{text!r} names nothing after the colon; write {TRACKERS[name].usage}")
    if argument and "[:" not in TRACKERS[name].usage:
        raise UserError(f"{name} takes nothing after a colon, but got {argument!r}; write {TRACKERS[name].usage}")
    return TrackerSpec(name, argument)


def _require_package(spec: TrackerSpec) -> None:
    kind = TRACKERS[spec.name]
    if kind.package and importlib.util.find_spec(kind.package) is None:
        raise UserError(f"the tracker {spec.name} needs {kind.package}: pip install 'selfdistill[{kind.extra}]'")
