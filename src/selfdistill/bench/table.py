"""Table of costs."""

from collections.abc import Iterable, Iterator, Sequence

from selfdistill.bench.compilation import in_words
from selfdistill.bench.rounds import Cost, Quartiles

HEADER = ("method", "images/s", "step", "whole step", "its quartiles", "arithmetic", "terms alone", "memory", "data")


def rows(costs: Sequence[Cost]) -> list[tuple[str, ...]]:
    """Return one row per method."""
    return [_row(each) for each in costs]


def compilations(costs: Iterable[Cost]) -> Iterator[str]:
    """Yield a line for each compiled method: time to compile, both steps, and when it pays."""
    found = [in_words(each.method, each.compilation) for each in costs if each.compilation]
    yield from found
    if found:
        yield (
            "time to compile: that of the first steps; shorter where torch has the graph in its cache on disk. "
            "Arithmetic and memory are those of the eager steps."
        )


def footer(rounds: int, steps: int, where: str) -> list[str]:
    """Describe the setting of the measurement."""
    return [
        f"{where}; medians of {rounds} interleaved rounds of {steps} step(s). Ratios are to ce() in the same round; "
        "its second row is ce() against itself: differences of that size are noise.",
        "whole step: batch, passes, losses, backward, optimizer. arithmetic: ratio of floating-point operations.",
        "terms alone: 1 + the method's losses and heads, forward and backward on recorded outputs, in steps of ce(); "
        "extra forward passes are not included. memory: peak of live tensors. data: share of the step spent waiting "
        "for the batch.",
    ]


def _row(cost: Cost) -> tuple[str, ...]:
    return (
        cost.method,
        f"{cost.images_per_second:.0f}",
        f"{cost.step_ms:.1f} ms",
        f"{cost.step.middle:.3f}x",
        _quartiles(cost.step),
        f"{cost.arithmetic:.3f}x",
        f"{cost.terms.middle:.4f}x",
        f"{cost.memory:.2f}x",
        f"{100 * cost.data.middle:.1f} %",
    )


def _quartiles(spread: Quartiles) -> str:
    return f"[{spread.low:.3f}, {spread.high:.3f}]"
