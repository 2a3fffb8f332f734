"""Configuration fields that differ between runs of a study, other than method, fold and seed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from selfdistill.report.runs import Run
from selfdistill.study import Study

EXPECTED = {"config.method", "config.seed", "config.fold", "method", "resolved"}


@dataclass(frozen=True)
class FieldDiff:
    """A field that differs: value of the study, and values of each method's runs."""

    name: str
    planned: str
    by_method: dict[str, str]


def differences(study: Study, runs: Mapping[str, list[Run]]) -> list[FieldDiff]:
    """Find the fields of run.json that differ between runs, or from study.json."""
    flat = {method: [dict(_flat(run.facts)) for run in each] for method, each in runs.items()}
    planned = dict(_flat({"config": study.base.to_json()}))
    names = dict.fromkeys(name for each in flat.values() for run in each for name in run)
    fields = [_field(name, planned, flat) for name in names if name not in EXPECTED]
    return [each for each in fields if len({*each.by_method.values(), each.planned} - {""}) > 1]


def resolved_methods(runs: Mapping[str, list[Run]]) -> dict[str, str]:
    """Return each method expression with all arguments."""
    return {method: _joined(run.facts.get("resolved", method) for run in each) for method, each in runs.items()}


def common_value(runs: Mapping[str, list[Run]], *names: str) -> str:
    """Return a value of run.json by its keys, such as "versions", "torch"; all distinct values if runs differ."""
    return _joined(dict(_flat(run.facts)).get(".".join(names)) for each in runs.values() for run in each)


def _field(name: str, planned: Mapping[str, object], flat: Mapping[str, list[dict[str, object]]]) -> FieldDiff:
    by_method = {method: _joined(run.get(name) for run in each) for method, each in flat.items()}
    return FieldDiff(name.removeprefix("config."), _joined([planned[name]]) if name in planned else "", by_method)


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Flatten nested mappings to dotted names; lists stay values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _joined(values: Iterable[object]) -> str:
    """Join the distinct values as text."""
    return " or ".join(dict.fromkeys(_text(value) for value in values))


def _text(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
