"""In what the runs of a study differ beside method and seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selfdistill.report.runs import Run
from selfdistill.study import Study

EXPECTED = {"config.method", "config.seed", "method", "resolved"}


@dataclass(frozen=True)
class Field:
    """A field that differs: the study's own value, and each method's, of all its runs."""

    name: str
    planned: str
    by_method: dict[str, str]


def differences(study: Study, runs: Mapping[str, list[Run]]) -> list[Field]:
    """The fields of run.json that are not alike in all runs, or not as study.json has them."""
    flat = {method: [dict(_flat(run.facts)) for run in each] for method, each in runs.items()}
    planned = dict(_flat({"config": study.base.to_json()}))
    names = dict.fromkeys(name for each in flat.values() for run in each for name in run)
    fields = [_field(name, planned, flat) for name in names if name not in EXPECTED]
    return [each for each in fields if len({*each.by_method.values(), each.planned} - {""}) > 1]


def resolved(runs: Mapping[str, list[Run]]) -> dict[str, str]:
    """Each method with all its arguments."""
    return {method: _joined(run.facts.get("resolved", method) for run in each) for method, each in runs.items()}


def common(runs: Mapping[str, list[Run]], *names: str) -> str:
    """One fact of run.json, named by its keys, such as "versions" and "torch"; all values where runs differ."""
    return _joined(dict(_flat(run.facts)).get(".".join(names)) for each in runs.values() for run in each)


def _field(name: str, planned: Mapping[str, Any], flat: Mapping[str, list[dict[str, Any]]]) -> Field:
    by_method = {method: _joined(run.get(name) for run in each) for method, each in flat.items()}
    return Field(name.removeprefix("config."), _joined([planned[name]]) if name in planned else "", by_method)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by names with dots; lists stay whole."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _joined(values) -> str:
    """The distinct values as text."""
    return " or ".join(dict.fromkeys(_text(value) for value in values))


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
