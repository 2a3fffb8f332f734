"""Names, formats and direction (higher or lower is better) of the metrics in a study's tables."""

from collections.abc import Iterable

from selfdistill.metrics.catalog import CLASS_SCORES, HEADINGS, METRICS, ROBUSTNESS, MetricSpec
from selfdistill.metrics.corruption import CORRUPTIONS, EXTRA, SEVERITIES

KNOWN = tuple(spec for metric in METRICS.values() for spec in metric.specs)
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD"}
CORRUPTION_GROUP, CLASS_GROUP = "Corruptions", "Classes"


def metric_specs(keys: Iterable[str]) -> list[MetricSpec]:
    """Return the specs of single numbers among some keys, in the order of the report."""
    there = set(keys)
    return sorted([*(each for each in KNOWN if each.place in there), *_attacks(there)], key=_order)


def corruption_specs(keys: Iterable[str]) -> list[MetricSpec]:
    """Return the specs of the mean over all corruptions, of each severity and of each kind."""
    if not any(each.startswith("corruption.") for each in keys):
        return []
    severities = [MetricSpec(f"severity.{each}", CORRUPTION_GROUP, f"severity {each}", 1, ".1f") for each in SEVERITIES]
    kinds = [MetricSpec(f"kind.{each}", CORRUPTION_GROUP, each.replace("_", " "), 1, ".1f") for each in CORRUPTIONS]
    return [MetricSpec("corruption.mean", CORRUPTION_GROUP, "mean", 1, ".1f"), *severities, *kinds]


def class_specs(keys: Iterable[str]) -> list[MetricSpec]:
    """Return the specs of the main number of each class: accuracy, IoU or F1."""
    return [
        MetricSpec(each, CLASS_GROUP, each.split(".", 1)[1].rpartition(".")[0], 1, ".1f") for each in class_keys(keys)
    ]


def class_keys(keys: Iterable[str]) -> list[str]:
    """Return the keys of the main number of each class, such as "classes.cat.top1"."""
    return [each for each in keys if CLASS_SCORES.get(each.partition(".")[0]) == each.rpartition(".")[2]]


def with_means(values: dict[str, float]) -> dict[str, float]:
    """Add the mean accuracy by kind and by severity of corruption to a run's metrics."""
    table = {kind: [values.get(f"corruption.{kind}.{each}") for each in SEVERITIES] for kind in CORRUPTIONS}
    if any(None in row for row in table.values()):
        return values
    whole = {kind: [each for each in row if each is not None] for kind, row in table.items()}
    kinds = {f"kind.{kind}": sum(row) / len(row) for kind, row in whole.items()}
    counted = [row for kind, row in whole.items() if kind not in EXTRA]
    columns = zip(SEVERITIES, zip(*counted, strict=True), strict=True)
    return values | kinds | {f"severity.{each}": sum(column) / len(column) for each, column in columns}


def is_derived(key: str) -> bool:
    """Return whether a metric is computed from others and not stored."""
    return key.startswith(("kind.", "severity."))


def _attacks(keys: set[str]) -> list[MetricSpec]:
    """Return the specs of FGSM and PGD, one per epsilon."""
    found = sorted((key.split(".", 1) for key in keys if key.split(".")[0] in ATTACKS), key=_strength)
    return [
        MetricSpec(f"{kind}.{size}", ROBUSTNESS, f"{ATTACKS[kind]} {size} %", 1, counts_images=True)
        for kind, size in found
    ]


def _strength(pair: list[str]) -> tuple[str, float]:
    return pair[0], float(pair[1].removesuffix("/255"))


def _order(spec: MetricSpec) -> int:
    return HEADINGS.index(spec.group)
