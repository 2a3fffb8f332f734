"""Metrics of one run as text."""

from collections.abc import Iterator, Mapping

from selfdistill.cli.console import aligned
from selfdistill.metrics.catalog import CLASS_SCORES, METRICS
from selfdistill.task import CLASSIFY, TaskName

PREFIXED = ("fgsm", "pgd", "corruption", "outside")  # metrics whose keys are printed with the metric's name


def skipped_metrics(found: Mapping[str, object], task: TaskName = CLASSIFY) -> str:
    """Return the metrics of a task that "all" skipped, each with what it needs."""
    offered = {name: each for name, each in METRICS.items() if task in each.tasks}
    needs = {name: "images" for name, each in offered.items() if each.needs_images}
    needs |= {name: "--ood DATA" for name, each in offered.items() if each.needs_ood}
    needs |= {name: "--classifier PATH" for name, each in offered.items() if each.needs_embedding}
    return ", ".join(f"{name} (needs {option})" for name, option in needs.items() if name not in found)


def format_metrics(found: Mapping[str, object]) -> Iterator[str]:
    """Yield one table of all single numbers, then the tables of corruptions and of classes."""
    if numbers := [line for name, group in found.items() for line in _numbers(name, group)]:
        yield aligned(numbers)
    if isinstance(corruption := found.get("corruption"), Mapping):
        rows = [[name, *map(format_cell, values)] for name, values in corruption.items() if isinstance(values, list)]
        yield aligned([["corruption", *"12345"], *rows])
    for name in CLASS_SCORES:
        if isinstance(classes := found.get(name), list) and classes:
            yield aligned([list(classes[0]), *([format_cell(cell) for cell in row.values()] for row in classes)])


def _numbers(name: str, group: object) -> Iterator[tuple[str, str]]:
    """Yield the single numbers of a metric, each with its key."""
    if not isinstance(group, Mapping):
        return
    prefix = f"{name} " if name in PREFIXED else ""
    for key, value in group.items():
        if isinstance(value, Mapping):
            yield from ((f"{prefix}{key} {inner}", format_cell(each)) for inner, each in value.items())
        elif not isinstance(value, list):
            yield f"{prefix}{key}", format_cell(value)


def format_cell(value: str | float | None) -> str:
    """Format a number with four decimals, a count with thousands separators, None as a dash."""
    if isinstance(value, float):
        return f"{value:.4f}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else value
