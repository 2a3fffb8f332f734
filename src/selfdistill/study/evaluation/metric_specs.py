"""What the measured numbers are called, how they are written, and which way is better."""

from collections.abc import Iterable
from dataclasses import dataclass

from selfdistill.metrics.corruption import CORRUPTIONS, EXTRA, SEVERITIES

RIGHT = "Accuracy"
SURE = "Confidence"
INSIDE = "Embedding"
ATTACKED = "Robustness"
OUTSIDE = "Images of other classes"
COST = "Cost"


@dataclass(frozen=True)
class MetricSpec:
    """One number of a run, by its place in the run's measures."""

    place: str
    group: str
    name: str
    better: int = 0  # 1: higher, -1: lower, 0: neither
    form: str = ".2f"
    counted: bool = False  # the same for every seed, and of no chance
    timed: bool = False  # by the clock
    unit: float = 1.0  # in which it is written

    @property
    def way(self) -> str:
        """Which way is better, in words; empty where neither is."""
        return {1: "higher is better", -1: "lower is better"}.get(self.better, "")

    @property
    def arrow(self) -> str:
        """The same as a sign."""
        return {1: "↑", -1: "↓"}.get(self.better, "")

    @property
    def tested(self) -> bool:
        """Whether a difference to the baseline says something of the method, and chance has a part in it."""
        return self.better != 0 and not self.counted and not self.timed

    def text(self, value: float) -> str:
        """A value as it is written."""
        return format(value / self.unit, self.form).rstrip(".")  # as "#.3g" leaves it behind "123."


KNOWN = (
    MetricSpec("accuracy.top1", RIGHT, "top-1 %", 1),
    MetricSpec("accuracy.best_epoch_top1", RIGHT, "top-1 %, best epoch", 1),
    MetricSpec("accuracy.top5", RIGHT, "top-5 %", 1),
    MetricSpec("accuracy.nll", RIGHT, "NLL", -1, ".3f"),
    MetricSpec("calibration.ece", SURE, "ECE %", -1),
    MetricSpec("calibration.adaptive_ece", SURE, "adaptive ECE %", -1),
    MetricSpec("calibration.brier", SURE, "Brier", -1, ".4f"),
    MetricSpec("selective.aurc", SURE, "AURC %", -1, ".3f"),
    MetricSpec("selective.aurc_excess", SURE, "excess AURC %", -1, ".3f"),
    MetricSpec("recall.recall_at_1", INSIDE, "recall@1 %", 1),
    MetricSpec("knn.knn", INSIDE, "kNN %", 1),
    MetricSpec("spread.ratio", INSIDE, "intra / inter", -1, ".3f"),
    MetricSpec("spread.ratio_normalised", INSIDE, "intra / inter, unit length", -1, ".3f"),
    MetricSpec("spread.intra", INSIDE, "intra-class variance", 0, "#.3g"),
    MetricSpec("spread.inter", INSIDE, "inter-class variance", 0, "#.3g"),
    MetricSpec("spread.intra_normalised", INSIDE, "intra, unit length", 0, "#.3g"),
    MetricSpec("spread.inter_normalised", INSIDE, "inter, unit length", 0, "#.3g"),
    MetricSpec("corruption.mean", ATTACKED, "corruptions %", 1),
    MetricSpec("outside.max_softmax.auroc", OUTSIDE, "AUROC %, softmax", 1),
    MetricSpec("outside.energy.auroc", OUTSIDE, "AUROC %, energy", 1),
    MetricSpec("outside.max_softmax.fpr95", OUTSIDE, "FPR95 %, softmax", -1),
    MetricSpec("outside.energy.fpr95", OUTSIDE, "FPR95 %, energy", -1),
    MetricSpec("cost.parameters", COST, "parameters", -1, ",.0f", counted=True),
    MetricSpec("cost.added_parameters", COST, "added in training", -1, ",.0f", counted=True),
    MetricSpec("cost.flops", COST, "MFLOPs of an image", -1, ",.1f", counted=True, unit=1e6),
    MetricSpec("cost.pass_ms", COST, "pass of an image, ms", -1, ".2f", timed=True),
    MetricSpec("cost.pass_mib", COST, "pass of an image, MiB", -1, ".2f", counted=True),
    MetricSpec("cost.step_ms", COST, "training step, ms", -1, ".1f", timed=True),
    MetricSpec("cost.step_mib", COST, "training step, MiB", -1, ",.1f", counted=True),
)
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
    """Whether a number is one of these means, and not in a run's file."""
    return place.startswith(("kind.", "severity."))


def _attacks(places: set[str]) -> list[MetricSpec]:
    """FGSM's and PGD's numbers, which are named by their epsilon."""
    found = sorted((place.split(".", 1) for place in places if place.split(".")[0] in ATTACKS), key=_strength)
    return [MetricSpec(f"{kind}.{size}", ATTACKED, f"{ATTACKS[kind]} {size} %", 1) for kind, size in found]


def _strength(pair: list[str]) -> tuple[str, float]:
    return pair[0], float(pair[1].removesuffix("/255"))


def _order(scale: MetricSpec) -> int:
    return (RIGHT, SURE, INSIDE, ATTACKED, OUTSIDE, COST).index(scale.group)


def _is_class(place: str) -> bool:
    return place.startswith("classes.") and place.endswith(".top1")
