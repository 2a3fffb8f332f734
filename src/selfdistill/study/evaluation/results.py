"""Metrics of a study's runs, by key, method and seed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any, TypeVar

from selfdistill.metrics.catalog import ACCURACY, CONFIDENCE, METRICS
from selfdistill.run_key import RunKey
from selfdistill.study.evaluation.metric_specs import with_means
from selfdistill.study.evaluation.store import MetricsFile, flat, path_of, read
from selfdistill.study.layout import run_folder
from selfdistill.study.study import Study
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

IN_RESULTS = {  # by task: metrics in result.json, and their keys
    CLASSIFY: {
        "top1": "accuracy.top1",
        "best_epoch_top1": "accuracy.best_epoch_top1",
        "top5": "accuracy.top5",
        "nll": "accuracy.nll",
        "ece": "calibration.ece",
    },
    SEGMENT: {
        name: f"segmentation.{name}"
        for name in ("miou", "best_epoch_miou", "pixel_accuracy", "mean_class_accuracy", "nll", "ece")
    },
    TAG: {name: f"tags.{name}" for name in ("map", "best_epoch_map", "micro_f1", "macro_f1")},
}
COSTS_IN_RESULTS = {
    "parameters": "cost.parameters",
    "added_parameters": "cost.added_parameters",
    "step_ms": "cost.step_ms",
}
ValuesByRun = dict[str, dict[RunKey, float]]  # by method and key

T = TypeVar("T")


@dataclass(frozen=True)
class MetricTable:
    """Metrics of a study. Of each group only those on the test images that most runs were evaluated on."""

    study: Study
    values: dict[str, ValuesByRun] = field(default_factory=dict)  # by key
    evaluated: list[str] = field(default_factory=list)  # groups computed after training
    limited: dict[str, int] = field(default_factory=dict)  # groups evaluated on a subset, and its number of images
    images: int | None = None  # in the test set; None if nothing was evaluated after training
    ood: str | None = None  # data set of the OOD images
    from_training: frozenset[str] = frozenset()  # keys whose values come from result.json
    mismatched: int = 0  # runs with a group on other images, which is left out
    unevaluated: int = 0  # finished runs without metrics besides those of training

    @property
    def on_full_test_set(self) -> list[str]:
        """Names of metrics on the full test set in groups that are otherwise evaluated on a subset."""
        specs = (spec for metric in METRICS.values() for spec in metric.specs if spec.group in (ACCURACY, CONFIDENCE))
        keys = {spec.place: spec.name.removesuffix(" %") for spec in specs if ".best_epoch_" not in spec.place}
        return [name for key, name in keys.items() if key in self.from_training and key.split(".")[0] in self.limited]

    @property
    def keys(self) -> list[str]:
        """Keys that have values."""
        return list(self.values)


def read_metric_table(study: Study, data: str | None = None) -> MetricTable:
    """Read the metrics of a study's finished runs, on its test set or on the test images of `data`.

    Metrics in result.json, on the full test set, take precedence over those in metrics.json.
    """
    runs = [(row, key) for row in study.methods for key in study.keys if key in study.results.get(row, {})]
    found = {run: each for run in runs if (each := read(path_of(run_folder(study.folder, *run), data)))}
    images_of = partial(_images, by_fold=study.folds is not None)
    common = {
        group: _most_common(images_of(each, group) for each in found.values() if group in each.groups)
        for group in _groups(found.values())
    }
    matching = {
        run: {group: numbers for group, numbers in each.groups.items() if images_of(each, group) == common[group]}
        for run, each in found.items()
    }
    results = {} if data else {run: _training_metrics(study.results[run[0]][run[1]], study.task.name) for run in runs}
    images = _most_common(each.images for each in found.values()) if found else None
    return MetricTable(
        study,
        _by_key({run: with_means(flat(matching.get(run, {}))) | results.get(run, {}) for run in runs}),
        list(common),
        {group: most[1] for group, most in common.items() if most and most[1] and most[1] != images},
        images,
        _most_common(each.groups["outside"]["data"] for each in found.values() if "outside" in each.groups),
        frozenset(key for each in results.values() for key in each),
        sum(matching[run].keys() != each.groups.keys() for run, each in found.items()),
        len(runs) - len(found),
    )


def _groups(found: Iterable[MetricsFile]) -> list[str]:
    return list(dict.fromkeys(group for each in found for group in each.groups))


def _images(stored: MetricsFile, group: str, by_fold: bool) -> tuple[object, int | None]:
    """Return the data set and the number of test images that a group was evaluated on; None for all of a fold."""
    source = stored.groups[group].get("data") if group == "outside" else stored.data
    return source, None if by_fold and group not in stored.limited else stored.images_of(group)


def _most_common(values: Iterable[T]) -> T | None:
    """Return the most common value, the first of ties; None for no values."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _training_metrics(result: Mapping[str, Any], task: TaskName) -> dict[str, float]:
    keys = IN_RESULTS[task] | COSTS_IN_RESULTS
    return {key: result[name] for name, key in keys.items() if name in result}


def _by_key(runs: Mapping[tuple[str, RunKey], Mapping[str, float]]) -> dict[str, ValuesByRun]:
    """Regroup values by name, method and key, in the order of the keys; values that are not finite are left out."""
    found: dict[str, ValuesByRun] = {}
    for (row, key), values in runs.items():
        for name, value in values.items():
            if isfinite(value):
                found.setdefault(name, {}).setdefault(row, {})[key] = value
    return found
