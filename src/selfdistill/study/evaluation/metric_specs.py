"""Names, formats and direction (higher or lower is better) of the metrics in a study's tables."""

from collections.abc import Iterable

from selfdistill.metrics.catalog import HEADINGS, METRICS, ROBUSTNESS, MetricSpec
from selfdistill.metrics.corruption import CORRUPTIONS, EXTRA, SEVERITIES

KNOWN = tuple(spec for metric in METRICS.values() for spec in metric.specs)
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD"}
DAMAGE, CLASSES = "Corruptions", "Classes"


def scales(places: Iterable[str]) -> list[MetricSpec]:
    """The single numbers among some places, in the order of a page."""
    there = set(places)
    return sorted([*(each for each in KNOWN if each.place in there), *_attacks(there)], key=_order)


def corruption_scales(places: Iterable[str]) -> list[MetricSpec]:
    """The mean of the corruptions, then each severity and each kind: kinds are means over severities."""
    if not any(each.startswith("corruption.") for each in places):
        return []
    severities = [MetricSpec(f"severity.{each}", DAMAGE, f"severity {each}", 1, ".1f") for each in SEVERITIES]
    kinds = [MetricSpec(f"kind.{each}", DAMAGE, each.replace("_", " "), 1, ".1f") for each in CORRUPTIONS]
    return [MetricSpec("corruption.mean", DAMAGE, "mean", 1, ".1f"), *severities, *kinds]


def class_scales(places: Iterable[str]) -> list[MetricSpec]:
    """The accuracy of each class."""
    names = [each.removeprefix("classes.").removesuffix(".top1") for each in places if _is_class(each)]
    return [MetricSpec(f"classes.{name}.top1", CLASSES, name, 1, ".1f") for name in names]


def with_means(values: dict[str, float]) -> dict[str, float]:
    """A run's numbers, and of its corruptions the means by kind and by severity."""
    table = {kind: [values.get(f"corruption.{kind}.{each}") for each in SEVERITIES] for kind in CORRUPTIONS}
    if any(None in row for row in table.values()):
        return values
    whole = {kind: [each for each in row if each is not None] for kind, row in table.items()}
    kinds = {f"kind.{kind}": sum(row) / len(row) for kind, row in whole.items()}
    counted = [row for kind, row in whole.items() if kind not in EXTRA]
    columns = zip(SEVERITIES, zip(*counted, strict=True), strict=True)
    return values | kinds | {f"severity.{each}": sum(column) / len(column) for each, column in columns}


def is_derived(place: str) -> bool:
    """Return whether a number is a mean of others and not stored itself."""
    return place.startswith(("kind.", "severity."))


def _attacks(places: set[str]) -> list[MetricSpec]:
    """FGSM's and PGD's numbers, which are named by their epsilon."""
    found = sorted((place.split(".", 1) for place in places if place.split(".")[0] in ATTACKS), key=_strength)
    return [MetricSpec(f"{kind}.{size}", ROBUSTNESS, f"{ATTACKS[kind]} {size} %", 1) for kind, size in found]


def _strength(pair: list[str]) -> tuple[str, float]:
    return pair[0], float(pair[1].removesuffix("/255"))


def _order(scale: MetricSpec) -> int:
    return HEADINGS.index(scale.group)


def _is_class(place: str) -> bool:
    return place.startswith("classes.") and place.endswith(".top1")
