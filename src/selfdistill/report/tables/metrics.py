"""Tables of metrics: one row per method, one column per metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from selfdistill.metrics.catalog import MetricSpec
from selfdistill.report.tables.accuracy import name_of_test
from selfdistill.run_key import RunKey
from selfdistill.study.analysis.comparison import Comparison, against
from selfdistill.study.analysis.statistics import LEVEL, MeanStd, fold_means
from selfdistill.study.evaluation.metric_specs import class_specs, corruption_specs, metric_specs
from selfdistill.study.evaluation.results import MetricTable, ValuesByRun
from selfdistill.task import CLASSIFY

CLASSES_SHOWN = 20
OPPOSITE = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class MetricCell:
    """A metric of a method: values by run, and the comparison with the baseline."""

    spec: MetricSpec
    by_key: dict[RunKey, float]
    compared: Comparison | None = None  # None for the baseline and for untested metrics

    @property
    def mean_std(self) -> MeanStd:
        """Mean and standard deviation over seeds, or folds."""
        return MeanStd.of([*fold_means(self.by_key).values()])

    @property
    def text(self) -> str:
        """Formatted value: "95.20 ± 0.31"; without standard deviation if the metric is the same for all runs."""
        found = self.mean_std
        std = "" if found.std is None or self.spec.counted else f" ± {self.spec.text(found.std)}"
        return self.spec.text(found.mean) + std

    @property
    def verdict(self) -> str:
        """Verdict "better", "worse", "not distinguishable", "one seed", "untested" …; empty without comparison."""
        if self.compared is None:
            return ""
        found = self.compared.verdict
        return OPPOSITE.get(found, found) if self.spec.better < 0 else found

    @property
    def differs(self) -> str:
        """Verdict "better" or "worse"; empty otherwise."""
        return self.verdict if self.verdict in OPPOSITE else ""


@dataclass(frozen=True)
class MetricsTable:
    """A table of related metrics; a cell is None if a method lacks the metric."""

    title: str
    specs: list[MetricSpec]
    rows: list[tuple[str, list[MetricCell | None]]]


def metric_tables(scores: MetricTable) -> list[MetricsTable]:
    """Build one table per group of metrics."""
    kinds = groupby(metric_specs(scores.keys), key=lambda spec: spec.group)
    return [_table(title, list(each), scores) for title, each in kinds]


def corruption_table(scores: MetricTable) -> MetricsTable | None:
    """Build the table of accuracy by severity and kind of corruption; None if not evaluated."""
    found = corruption_specs(scores.keys)
    return _table(found[0].group, found, scores) if found else None


def class_table(scores: MetricTable, most: int = CLASSES_SHOWN) -> MetricsTable | None:
    """Build the table of accuracy by class, with the `most` classes that differ most from the baseline.

    There are no tests: classes selected by their difference would be significant too often.
    """
    found = class_specs(scores.keys)
    if len(found) > most:
        found = sorted(sorted(found, key=lambda spec: -_gap(scores, spec))[:most], key=found.index)
    return _table(found[0].group, found, scores, tested=False) if found else None


def _table(title: str, columns: Sequence[MetricSpec], scores: MetricTable, *, tested: bool = True) -> MetricsTable:
    by_metric = [_cells(spec, scores, tested and spec.tested) for spec in columns]
    rows = [row for row in scores.study.methods if any(row in each for each in by_metric)]
    return MetricsTable(title, list(columns), [(row, [each.get(row) for each in by_metric]) for row in rows])


def _cells(spec: MetricSpec, scores: MetricTable, tested: bool) -> dict[str, MetricCell]:
    values = scores.values[spec.place]
    compared = against(values, scores.study.baseline, _resolution(spec, scores), scores.study.overlap) if tested else {}
    return {row: MetricCell(spec, found, compared.get(row)) for row, found in values.items() if found}


def _resolution(spec: MetricSpec, scores: MetricTable) -> float | None:
    """Return the share of one image in percent for a metric that counts images; None for others."""
    if not spec.counts_images:
        return None
    if spec.place in scores.from_training:
        return scores.study.one_image
    images = scores.limited.get(spec.place.split(".")[0], scores.images)
    return 100 / images if images else None


def _gap(scores: MetricTable, spec: MetricSpec) -> float:
    """Return the largest absolute mean difference of a method to the baseline over shared runs."""
    return max(map(abs, _gaps(scores.values[spec.place], scores.study.baseline)), default=0.0)


def _gaps(values: ValuesByRun, baseline: str) -> Iterator[float]:
    base = values.get(baseline, {})
    for row, own in values.items():
        if row != baseline and (shared := own.keys() & base.keys()):
            yield sum(own[key] - base[key] for key in shared) / len(shared)


def header(table: MetricsTable) -> tuple[str, ...]:
    """Return the column names of the terminal's table, with an arrow towards better values."""
    return ("method", *(f"{each.name} {each.arrow}".strip() for each in table.specs))


def rows(table: MetricsTable) -> list[tuple[str, ...]]:
    """Return the cells of the terminal's table."""
    return [(row, *(_cell(cell) for cell in cells)) for row, cells in table.rows]


def notes(scores: MetricTable) -> list[str]:
    """Explain how the metrics were computed."""
    unit = scores.study.unit
    return [
        f"mean ± standard deviation over {unit}s; better and worse than {scores.study.baseline} on shared {unit}s "
        f"where p ({name_of_test(scores.study)}, Holm-corrected over the methods within one metric, not over metrics) "
        f"is below {LEVEL:g}. Cost is not tested.",
        *_image_notes(scores),
        *_run_notes(scores),
    ]


def _cell(cell: MetricCell | None) -> str:
    return "" if cell is None else f"{cell.text} {cell.differs}".strip()


def _image_notes(scores: MetricTable) -> Iterator[str]:
    for count in sorted(set(scores.limited.values())):
        names = [group for group, each in scores.limited.items() if each == count]
        drawn = "class-stratified" if scores.study.task.name == CLASSIFY else "drawn evenly"
        yield (
            f"on {count:,} of the {scores.images:,} test images ({drawn}, the same for all runs): {', '.join(names)}."
        )
    if scores.on_full_test_set:
        yield f"{', '.join(scores.on_full_test_set)} come from training, on all test images."
    if scores.ood:
        yield f"OOD images: {scores.ood}."


def _run_notes(scores: MetricTable) -> Iterator[str]:
    if scores.mismatched:
        yield (
            f"{scores.mismatched} runs were evaluated on different images and are left out of these metrics; evaluate "
            "the study's folder again with the same options."
        )
    if scores.unevaluated and scores.images:
        yield f"{scores.unevaluated} finished runs have only the metrics of training."
