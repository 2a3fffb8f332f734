"""Measures as text."""

from collections.abc import Iterator
from typing import Any

from selfdistill.cli.console import aligned

SAY_LITTLE = ("fgsm", "pgd", "corruption", "outside")  # groups whose numbers' names need the group's


def left_out(found: dict[str, Any]) -> str:
    """What "all" could not measure."""
    why = {"outside": "needs --ood DATA"} | dict.fromkeys(("recall", "knn", "spread"), "needs --classifier PATH")
    return ", ".join(f"{name} ({need})" for name, need in why.items() if name not in found)


def shown(found: dict[str, Any]) -> Iterator[str]:
    """One table of all single numbers, then those with rows of their own."""
    if numbers := [line for name, group in found.items() for line in _numbers(name, group)]:
        yield aligned(numbers)
    if corruption := found.get("corruption"):
        rows = [[name, *map(in_cell, values)] for name, values in corruption.items() if isinstance(values, list)]
        yield aligned([["corruption", *"12345"], *rows])
    if classes := found.get("classes"):
        yield aligned([list(classes[0]), *([in_cell(cell) for cell in row.values()] for row in classes)])


def _numbers(name: str, group: Any) -> Iterator[tuple[str, str]]:
    """The single numbers of a group, each with its name; where that says too little, with the group's too."""
    if not isinstance(group, dict):
        return
    said = f"{name} " if name in SAY_LITTLE else ""
    for key, value in group.items():
        if isinstance(value, dict):
            yield from ((f"{said}{key} {inner}", in_cell(each)) for inner, each in value.items())
        elif not isinstance(value, list):
            yield f"{said}{key}", in_cell(value)


def in_cell(value: str | float | None) -> str:
    """A number with four digits behind the point, a count with its thousands apart, a dash for nothing."""
    if isinstance(value, float):
        return f"{value:.4f}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else value
