"""What was measured of a study's runs, as the page shows it."""

import csv
import io
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from selfdistill.metrics import METRICS
from selfdistill.metrics.adversarial import EPSILONS
from selfdistill.report.tables.metrics import MetricCell, MetricsTable, class_sheet, corruption_sheet, notes, sheets
from selfdistill.study import Study
from selfdistill.study.evaluation.metric_specs import ATTACKS, is_derived
from selfdistill.study.evaluation.results import MetricTable, scores

COLUMNS = ("data", "model", "label_noise", "method", "seed", "measure", "value")
OF_THE_COST = (
    "Milliseconds are the clock's: those of a step the median of the run's own, as busy as the machine was then; those "
    "of a pass the median of 20. All else of the cost is counted and the same on every machine. MiB of a training "
    "step are the bytes of all tensors that live at its peak (weights, optimizer, memories, teachers, activations, "
    "gradients), counted on a whole step made for it on untrained networks, as selfdistill bench does; what libraries "
    "take inside an operation is not seen."
)


@dataclass(frozen=True)
class Measures:
    """The tables of a study's measures."""

    scores: MetricTable

    @cached_property
    def sheets(self) -> list[MetricsTable]:
        """A table for each kind of number."""
        return sheets(self.scores)

    @cached_property
    def corruptions(self) -> MetricsTable | None:
        """Accuracy by severity and kind of corruption."""
        return corruption_sheet(self.scores)

    @cached_property
    def classes(self) -> MetricsTable | None:
        """Accuracy by class."""
        return class_sheet(self.scores)

    @property
    def all_classes(self) -> bool:
        """Whether the table of classes has them all."""
        places = [each for each in self.scores.places if each.startswith("classes.") and each.endswith(".top1")]
        return self.classes is not None and len(places) == len(self.classes.scales)

    @property
    def notes(self) -> list[str]:
        """How the numbers were taken, and what they do not show."""
        told = [each[0].upper() + each[1:] for each in notes(self.scores)]
        tests = sum(any(mark and mark.compared for mark in marks) for sheet in self.sheets for marks in _columns(sheet))
        return [*told, *_of_many(tests)]

    def note(self, sheet: MetricsTable) -> str:
        """How the numbers of one table were taken, where that is not plain."""
        return OF_THE_COST if any(each.place == "cost.step_mib" for each in sheet.scales) else ""

    @property
    def commands(self) -> list[str]:
        """The commands that take these measures, one for each number of images; or all where there are none yet."""
        found = self.scores
        if found.images is None:
            return [_command(found.study, ["all"])]
        by_count: dict[int | None, list[str]] = {}
        for name in (each for each in METRICS if each in found.taken):
            by_count.setdefault(found.limited.get(name), []).append(name)
        if len(by_count) == 2 and by_count.get(None) == ["cost"]:  # which shows no images
            by_count[max(found.limited.values())] += by_count.pop(None)
        return [
            _command(found.study, _short(names), *_options(found, names, count)) for count, names in by_count.items()
        ]


def measures(study: Study) -> Measures:
    """Read the measures of a study's runs."""
    return Measures(scores(study))


def as_csv(studies: Sequence[Study]) -> str:
    """A line a number of a run, as exact as it was measured."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    for study in studies:
        lines.writerows(_lines(study))
    return file.getvalue()


def sort_key(mark: MetricCell | None) -> str:
    """What a cell is sorted by."""
    return "" if mark is None else repr(fmean(mark.by_seed.values()))


def told(mark: MetricCell, baseline: str) -> list[tuple[str, str]]:
    """What a cell opens to: its difference to the baseline, p as it is corrected, and the verdict."""
    if mark.compared is None:
        return []
    gap, p = mark.compared.difference, mark.compared.corrected_p
    reach = "" if gap.low is None or gap.high is None else f" [{_gap(mark, gap.low)}, {_gap(mark, gap.high)}]"
    level = [] if p is None else [("p, corrected", "<.001" if p < 0.001 else f"{p:.3f}")]
    return [(f"against {baseline}", f"{_gap(mark, gap.mean)}{reach}"), *level, ("verdict", mark.verdict)]


def _gap(mark: MetricCell, value: float) -> str:
    return format(value / mark.scale.unit, f"+{mark.scale.form}")


def _columns(sheet: MetricsTable) -> Iterator[tuple[MetricCell | None, ...]]:
    return zip(*(marks for _, marks in sheet.rows), strict=True)


def _of_many(tests: int) -> Iterator[str]:
    if tests > 1:
        yield (
            f"The p values are corrected for the number of methods, not for the {tests} measures that are tested: of "
            "20 measures on which no method differs from it at all, about one is marked by chance."
        )


def _command(study: Study, names: Sequence[str], *more: str) -> str:
    return shlex.join(["selfdistill", "evaluate", str(study.folder), "--measures", *names, *more])


def _short(names: Sequence[str]) -> list[str]:
    """Measures as they are typed: "all" for all; outside comes with --ood."""
    typed = [each for each in names if each != "outside"]
    return ["all"] if len(typed) == len(METRICS) - 1 else typed or ["basic"]


def _options(found: MetricTable, names: Sequence[str], count: int | None) -> Iterator[str]:
    """What the command is told beside the measures' names."""
    if count is not None:
        yield from ("--test-limit", str(count))
    if "outside" in names and found.strange:
        yield from ("--ood", found.strange)
    sizes = sorted({float(each.split(".", 1)[1].removesuffix("/255")) for each in found.values if _attack(each, names)})
    if sizes and sizes != sorted(EPSILONS):
        yield from ("--epsilons", *(f"{each:g}" for each in sizes))


def _attack(place: str, names: Sequence[str]) -> bool:
    group = place.split(".")[0]
    return group in ATTACKS and group in names


def _lines(study: Study) -> Iterator[tuple[str | int | float, ...]]:
    base = study.base
    found = {place: each for place, each in scores(study).values.items() if not is_derived(place)}
    for place, by_row in found.items():
        for row, seeds in by_row.items():
            for seed, value in seeds.items():
                yield base.data, base.model, f"{base.label_noise:g}", row, seed, place, value
