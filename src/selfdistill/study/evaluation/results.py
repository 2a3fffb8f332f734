"""All that was measured of a study's runs: numbers by their place, method and seed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from selfdistill.study.evaluation.metric_specs import with_means
from selfdistill.study.evaluation.store import MetricsFile, flat, path_of, read
from selfdistill.study.layout import run_folder
from selfdistill.study.study import Study

IN_RESULTS = {  # what training itself measures, and its place among the measures
    "top1": "accuracy.top1",
    "best_epoch_top1": "accuracy.best_epoch_top1",
    "top5": "accuracy.top5",
    "nll": "accuracy.nll",
    "ece": "calibration.ece",
    "parameters": "cost.parameters",
    "added_parameters": "cost.added_parameters",
    "step_ms": "cost.step_ms",
}
By = dict[str, dict[int, float]]  # a number by method and seed

T = TypeVar("T")


@dataclass(frozen=True)
class MetricTable:
    """A study's numbers. Of a group only those of one number of test images: of most runs' that have it."""

    study: Study
    values: dict[str, By] = field(default_factory=dict)  # by place
    taken: list[str] = field(default_factory=list)  # groups that were measured beside training
    limited: dict[str, int] = field(default_factory=dict)  # groups taken of fewer images than the test set has
    images: int | None = None  # of the test set, where something was measured beside training
    strange: str | None = None  # the images of other classes
    trained: frozenset[str] = frozenset()  # places whose numbers training has measured
    left_out: int = 0  # runs with a group of another number of images
    unmeasured: int = 0  # finished runs of which training alone has measured something

    @property
    def whole(self) -> list[str]:
        """The numbers of groups taken of fewer images that training has taken of all."""
        names = {"accuracy.top1": "top-1", "accuracy.top5": "top-5", "accuracy.nll": "NLL", "calibration.ece": "ECE"}
        return [name for place, name in names.items() if place in self.trained and place.split(".")[0] in self.limited]

    @property
    def places(self) -> list[str]:
        """Return the places that have numbers."""
        return list(self.values)


def scores(study: Study, data: str | None = None) -> MetricTable:
    """Read the measures of a study's finished runs; of other images than the test set, if these are named.

    What training has measured of the whole test set stands before the same from a measures file.
    """
    runs = [(row, seed) for row in study.methods for seed in study.seeds if seed in study.results.get(row, {})]
    found = {run: each for run in runs if (each := read(path_of(run_folder(study.folder, *run), data)))}
    usual = {group: _usual(group, found.values()) for group in _groups(found.values())}
    kept = {run: _kept(each, usual) for run, each in found.items()}
    results = {} if data else {run: _of_training(study.results[run[0]][run[1]]) for run in runs}
    images = _most(each.images for each in found.values()) if found else None
    return MetricTable(
        study,
        _by_place({run: with_means(flat(kept.get(run, {}))) | results.get(run, {}) for run in runs}),
        list(usual),
        {group: most[1] for group, most in usual.items() if most and most[1] != images},
        images,
        _most(each.groups["outside"]["data"] for each in found.values() if "outside" in each.groups),
        frozenset(place for each in results.values() for place in each),
        sum(kept[run].keys() != each.groups.keys() for run, each in found.items()),
        len(runs) - len(found),
    )


def _groups(found: Iterable[MetricsFile]) -> list[str]:
    return list(dict.fromkeys(group for each in found for group in each.groups))


def _of(measured: MetricsFile, group: str) -> tuple[Any, int]:
    """The images that a group is of: those of other classes, and how many of the test set."""
    strange = measured.groups[group].get("data") if group == "outside" else measured.data
    return strange, measured.of(group)


def _usual(group: str, found: Iterable[MetricsFile]) -> tuple[Any, int] | None:
    """Return the images that most runs measured a group on."""
    return _most(_of(each, group) for each in found if group in each.groups)


def _most(values: Iterable[T]) -> T | None:
    """Return the most common value, among equally common ones the first; None for no values."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _kept(measured: MetricsFile, usual: Mapping[str, tuple[Any, int] | None]) -> dict[str, Any]:
    return {group: numbers for group, numbers in measured.groups.items() if _of(measured, group) == usual[group]}


def _of_training(result: Mapping[str, Any]) -> dict[str, float]:
    return {place: result[name] for name, place in IN_RESULTS.items() if name in result}


def _by_place(runs: Mapping[tuple[str, int], Mapping[str, float]]) -> dict[str, By]:
    """The same numbers by place, method and seed, those of a method in the order of the seeds."""
    found: dict[str, By] = {}
    for (row, seed), values in runs.items():
        for place, value in values.items():
            found.setdefault(place, {}).setdefault(row, {})[seed] = value
    return found
