"""Metrics of a study for the page, and their export to CSV."""

import csv
import io
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from selfdistill.data.sources.own_name import module_of_data
from selfdistill.errors import UserError
from selfdistill.files import csv_cell
from selfdistill.method.expression import own_modules
from selfdistill.metrics.adversarial import EPSILONS
from selfdistill.metrics.catalog import METRICS, of_task
from selfdistill.models.own_model import module_of
from selfdistill.report.tables.metrics import (
    MetricCell,
    MetricsTable,
    class_table,
    corruption_table,
    metric_tables,
    notes,
)
from selfdistill.run_key import FoldSeed, seed_of
from selfdistill.study import Study
from selfdistill.study.evaluation.metric_specs import ATTACKS, class_keys, is_derived
from selfdistill.study.evaluation.results import MetricTable, read_metric_table
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

COLUMNS = ("data", "model", "label_noise", "method", "seed", "metric", "value")
COST_NOTE = (
    "Times are wall-clock: the step time is the median of the run (it depends on the machine's load), the time of a "
    "forward pass the median of 20. All other costs are counted and independent of the machine. The memory of a "
    "training step is the peak of all live tensors (weights, optimizer, memories, teachers, activations, gradients) "
    "in one step on untrained networks, as in selfdistill bench, without the workspace of libraries."
)


@dataclass(frozen=True)
class StudyMetrics:
    """Tables of a study's metrics."""

    scores: MetricTable

    @cached_property
    def tables(self) -> list[MetricsTable]:
        """One table per group of metrics."""
        return metric_tables(self.scores)

    @cached_property
    def corruptions(self) -> MetricsTable | None:
        """Accuracy by severity and kind of corruption."""
        return corruption_table(self.scores)

    @cached_property
    def classes(self) -> MetricsTable | None:
        """Accuracy by class."""
        return class_table(self.scores)

    @property
    def of_class(self) -> str:
        """Main number of a class: accuracy, IoU or F1."""
        return {CLASSIFY: "Accuracy", SEGMENT: "IoU", TAG: "F1"}[self.scores.study.task.name]

    @property
    def all_classes(self) -> bool:
        """True if the table of classes is complete."""
        keys = class_keys(self.scores.keys)
        return self.classes is not None and len(keys) == len(self.classes.specs)

    @property
    def notes(self) -> list[str]:
        """Explanations and caveats of the metrics."""
        lines = [each[0].upper() + each[1:] for each in notes(self.scores)]
        tests = sum(any(cell and cell.compared for cell in cells) for table in self.tables for cells in _columns(table))
        return [*lines, *_multiple_testing_note(tests)]

    def note(self, table: MetricsTable) -> str:
        """Explain the metrics of one table, if necessary."""
        return COST_NOTE if any(each.place == "cost.step_mib" for each in table.specs) else ""

    @property
    def commands(self) -> list[str]:
        """Commands that compute these metrics, one per number of images; all metrics if there are none yet."""
        found = self.scores
        if found.images is None:
            return [_command(found.study, ["all"])]
        by_count: dict[int | None, list[str]] = {}
        for name in (each for each in METRICS if each in found.evaluated):
            by_count.setdefault(found.limited.get(name), []).append(name)
        if len(by_count) == 2 and by_count.get(None) == ["cost"]:  # cost needs no images
            by_count[max(found.limited.values())] += by_count.pop(None)
        return [
            _command(found.study, _short(names, found.study.task.name), *_options(found, names, count))
            for count, names in by_count.items()
        ]


def read_metrics(study: Study) -> StudyMetrics:
    """Read the metrics of a study's runs."""
    return StudyMetrics(read_metric_table(study))


def as_csv(studies: Sequence[Study]) -> str:
    """Format studies as CSV: one line per run and metric, in full precision."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    folds = any(study.folds for study in studies)
    lines.writerow([*COLUMNS, "fold"] if folds else COLUMNS)
    for study in studies:
        lines.writerows(map(csv_cell, line) for line in _lines(study, folds))
    return file.getvalue()


def sort_key(cell: MetricCell | None) -> str:
    """Return the sort key of a cell: the mean over seeds or folds."""
    return "" if cell is None else repr(cell.mean_std.mean)


def comparison_details(cell: MetricCell, baseline: str) -> list[tuple[str, str]]:
    """List the difference to the baseline, the corrected p and the verdict of a cell."""
    if cell.compared is None:
        return []
    gap, p = cell.compared.difference, cell.compared.corrected_p
    reach = "" if gap.low is None or gap.high is None else f" [{_gap(cell, gap.low)}, {_gap(cell, gap.high)}]"
    level = [] if p is None else [("p, corrected within this metric", "<.001" if p < 0.001 else f"{p:.3f}")]
    least = cell.compared.detectable
    shown = [] if least is None else [("detectable", cell.spec.text(least))]
    return [(f"against {baseline}", f"{_gap(cell, gap.mean)}{reach}"), *level, ("verdict", cell.verdict), *shown]


def _gap(cell: MetricCell, value: float) -> str:
    return format(value / cell.spec.unit, f"+{cell.spec.form}")


def _columns(table: MetricsTable) -> Iterator[tuple[MetricCell | None, ...]]:
    return zip(*(cells for _, cells in table.rows), strict=True)


def _multiple_testing_note(tests: int) -> Iterator[str]:
    if tests > 1:
        yield (
            f"The p values are corrected for the number of methods, not for the {tests} metrics that are tested: "
            "of 20 metrics without any true difference, about one is significant by chance."
        )


def _command(study: Study, names: Sequence[str], *more: str) -> str:
    named = (module_of(study.base.model), module_of_data(study.base.data), *_own_methods(study))
    own = [module for module in named if module]
    modules = ["--modules", *dict.fromkeys(own)] if own else []
    return shlex.join(["selfdistill", "evaluate", str(study.folder), "--metrics", *names, *more, *modules])


def _own_methods(study: Study) -> Iterator[str]:
    """Yield the modules of the user's own methods."""
    for row in study.methods:
        with suppress(UserError):  # a row that is no method
            yield from own_modules(row)


def _short(names: Sequence[str], task: TaskName) -> list[str]:
    """Return metric names for the command line: "all" for all; --ood implies the OOD metrics."""
    typed = [each for each in names if each != "outside"]
    offered = {each for each in of_task(tuple(METRICS), task) if each != "outside"}
    return ["all"] if set(typed) == offered else typed or ["basic"]


def _options(found: MetricTable, names: Sequence[str], count: int | None) -> Iterator[str]:
    """Yield the options of the command besides the metrics."""
    if count is not None:
        yield from ("--test-limit", str(count))
    if "outside" in names and found.ood:
        yield from ("--ood", found.ood)
    sizes = sorted({float(each.split(".", 1)[1].removesuffix("/255")) for each in found.values if _attack(each, names)})
    if sizes and sizes != sorted(EPSILONS):
        yield from ("--epsilons", *(f"{each:g}" for each in sizes))


def _attack(key: str, names: Sequence[str]) -> bool:
    group = key.split(".")[0]
    return group in ATTACKS and group in names


def _lines(study: Study, folds: bool) -> Iterator[tuple[str | int | float, ...]]:
    """Yield a line for each run and metric; with `folds` the last cell is the fold, empty in studies without."""
    base = study.base
    found = {key: each for key, each in read_metric_table(study).values.items() if not is_derived(key)}
    for key, by_row in found.items():
        for row, values in by_row.items():
            for run, value in values.items():
                fold = (run.fold if isinstance(run, FoldSeed) else "",) if folds else ()
                yield base.data, base.model, f"{base.label_noise:g}", row, seed_of(run), key, value, *fold
