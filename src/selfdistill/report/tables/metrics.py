"""Tables of measures: a row for each method, a column for each number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from selfdistill.study.analysis.comparison import Comparison, against
from selfdistill.study.analysis.statistics import LEVEL, MeanStd
from selfdistill.metrics.catalog import MetricSpec
from selfdistill.study.evaluation.metric_specs import class_scales, corruption_scales, scales
from selfdistill.study.evaluation.results import By, MetricTable

CLASSES_SHOWN = 20
TURNED = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class MetricCell:
    """What a method's runs show of one number: mean and deviation, and how it differs from the baseline."""

    scale: MetricSpec
    by_seed: dict[int, float]
    compared: Comparison | None = None  # None of the baseline, and where nothing is tested

    @property
    def spread(self) -> MeanStd:
        """Mean and deviation over seeds."""
        return MeanStd.of(list(self.by_seed.values()))

    @property
    def text(self) -> str:
        """As it is written: "95.20 ± 0.31"; without the deviation where all seeds must give the same."""
        found = self.spread
        std = "" if found.std is None or self.scale.counted else f" ± {self.scale.text(found.std)}"
        return self.scale.text(found.mean) + std

    @property
    def verdict(self) -> str:
        """Better, worse, not distinguishable or one seed, the way that the scale goes; empty where none is due."""
        if self.compared is None:
            return ""
        found = self.compared.verdict
        return TURNED.get(found, found) if self.scale.better < 0 else found

    @property
    def differs(self) -> str:
        """The verdict where it tells the method from the baseline: "better", "worse" or nothing."""
        return self.verdict if self.verdict in TURNED else ""


@dataclass(frozen=True)
class MetricsTable:
    """A table of numbers that belong together; a mark is None where a method has no such number."""

    title: str
    scales: list[MetricSpec]
    rows: list[tuple[str, list[MetricCell | None]]]


def sheets(scores: MetricTable) -> list[MetricsTable]:
    """A table for each kind of single numbers."""
    kinds = groupby(scales(scores.places), key=lambda scale: scale.group)
    return [_sheet(title, list(each), scores) for title, each in kinds]


def corruption_sheet(scores: MetricTable) -> MetricsTable | None:
    """Accuracy by severity and kind of corruption; None where that was not measured."""
    found = corruption_scales(scores.places)
    return _sheet(found[0].group, found, scores) if found else None


def class_sheet(scores: MetricTable, most: int = CLASSES_SHOWN) -> MetricsTable | None:
    """Accuracy by class; of more than `most` those in which a method differs most from the baseline.

    Nothing is tested: classes chosen for their difference would pass too often.
    """
    found = class_scales(scores.places)
    if len(found) > most:
        found = sorted(sorted(found, key=lambda scale: -_gap(scores, scale))[:most], key=found.index)
    return _sheet(found[0].group, found, scores, tested=False) if found else None


def _sheet(title: str, columns: Sequence[MetricSpec], scores: MetricTable, *, tested: bool = True) -> MetricsTable:
    marked = [_marks(scale, scores, tested and scale.tested) for scale in columns]
    rows = [row for row in scores.study.methods if any(row in each for each in marked)]
    return MetricsTable(title, list(columns), [(row, [each.get(row) for each in marked]) for row in rows])


def _marks(scale: MetricSpec, scores: MetricTable, tested: bool) -> dict[str, MetricCell]:
    values = scores.values[scale.place]
    compared = against(values, scores.study.baseline) if tested else {}
    return {row: MetricCell(scale, seeds, compared.get(row)) for row, seeds in values.items() if seeds}


def _gap(scores: MetricTable, scale: MetricSpec) -> float:
    """How far the method that differs most is from the baseline, in the mean over seeds that both have."""
    return max(map(abs, _gaps(scores.values[scale.place], scores.study.baseline)), default=0.0)


def _gaps(values: By, baseline: str) -> Iterator[float]:
    base = values.get(baseline, {})
    for row, seeds in values.items():
        if row != baseline and (shared := seeds.keys() & base.keys()):
            yield sum(seeds[seed] - base[seed] for seed in shared) / len(shared)


def header(sheet: MetricsTable) -> tuple[str, ...]:
    """The terminal's columns: each number's name, and which way is better."""
    return ("method", *(f"{each.name} {each.arrow}".strip() for each in sheet.scales))


def rows(sheet: MetricsTable) -> list[tuple[str, ...]]:
    """The terminal's cells."""
    return [(row, *(_cell(mark) for mark in marks)) for row, marks in sheet.rows]


def notes(scores: MetricTable) -> list[str]:
    """How the numbers were taken."""
    return [
        f"mean ± standard deviation over seeds; better and worse than {scores.study.baseline} on the same seeds where "
        f"p, corrected for the number of methods (Holm), is below {LEVEL:g}. Numbers of the cost are not tested.",
        *_notes_of_images(scores),
        *_notes_of_runs(scores),
    ]


def _cell(mark: MetricCell | None) -> str:
    return "" if mark is None else f"{mark.text} {mark.differs}".strip()


def _notes_of_images(scores: MetricTable) -> Iterator[str]:
    for count in sorted(set(scores.limited.values())):
        names = [group for group, each in scores.limited.items() if each == count]
        yield (
            f"on {count:,} of the {scores.images:,} test images, the same for all runs, every class in its share: "
            f"{', '.join(names)}."
        )
    if scores.whole:
        yield f"{', '.join(scores.whole)} are training's own, of all test images."
    if scores.strange:
        yield f"images of other classes: {scores.strange}."


def _notes_of_runs(scores: MetricTable) -> Iterator[str]:
    if scores.left_out:
        yield (
            f"{scores.left_out} runs were measured on other images than most and are left out there; measure the "
            "study's folder again, all alike."
        )
    if scores.unmeasured and scores.images:
        yield f"{scores.unmeasured} finished runs were measured by training alone."
