"""Contenders side by side: every one in every round, so that a busy moment meets all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, quantiles

from selfdistill.bench.candidate import Candidate, Seconds
from selfdistill.data import Splits
from selfdistill.errors import UserError
from selfdistill.methods import parse_method
from selfdistill.train.config import RunConfig

BASELINE = "ce()"
FLOOR = "ce() again"  # the baseline against itself: what no difference looks like


@dataclass(frozen=True)
class Quartiles:
    """A median and the quartiles around it."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quartiles":
        """Of two values at least."""
        return cls(*quantiles(values, n=4, method="inclusive"))


@dataclass(frozen=True)
class Cost:
    """Cost of a method per step; ratios are to cross-entropy in the same round."""

    method: str
    images_per_second: float
    step_ms: float
    step: Quartiles  # ratio of whole steps
    terms: Quartiles  # 1 and the terms' own share of a step of cross-entropy, measured alone
    data: Quartiles  # share of its own step until the batch is there
    arithmetic: float  # ratio of floating-point operations
    memory: float  # ratio of bytes at the peak
    bytes: int


def run_rounds(
    methods: Sequence[str],
    base: RunConfig,
    splits: Splits,
    *,
    rounds: int,
    steps: int,
    tell: Callable[[int], None] = lambda number: None,
) -> list[Cost]:
    """Measure each method's steps beside those of `ce()`, in so many rounds of so many steps of each.

    The first two of the list are the baseline and the floor. `tell` hears each round's number.
    Raises `UserError` where method, model and data do not fit.
    """
    for count, least, what in ((rounds, 2, "rounds"), (steps, 1, "steps")):
        if count < least:
            raise UserError(f"{what} must be {least} or more, but is {count}")
    texts = dict.fromkeys(parse_method(each).text for each in methods)
    labels = [(BASELINE, BASELINE), (FLOOR, BASELINE), *((text, text) for text in texts if text != BASELINE)]
    field = [Candidate(label, replace(base, method=text), splits) for label, text in labels]
    times: list[list[Seconds]] = [[] for _ in field]
    for number in range(rounds):
        first = number % len(field)  # none always runs after the same other
        for k in [*range(first, len(field)), *range(first)]:
            times[k].append(_mean([field[k].timed() for _ in range(steps)]))
        tell(number + 1)
    flops, sizes = [each.flops() for each in field], [each.bytes() for each in field]
    return [
        _cost(each.label, base.batch_size, own, times[0], flops[k] / flops[0], sizes[k] / sizes[0], sizes[k])
        for k, (each, own) in enumerate(zip(field, times, strict=True))
    ]


def _mean(times: Sequence[Seconds]) -> Seconds:
    return Seconds(*map(fmean, zip(*times, strict=True)))


def _cost(
    label: str,
    images: int,
    own: Sequence[Seconds],
    base: Sequence[Seconds],
    arithmetic: float,
    memory: float,
    size: int,
) -> Cost:
    step, usual = median(each.step for each in own), median(each.step for each in base)
    return Cost(
        label,
        images / step,
        1000 * step,
        Quartiles.of([one.step / other.step for one, other in zip(own, base, strict=True)]),
        Quartiles.of([1 + each.terms / usual for each in own]),
        Quartiles.of([each.data / each.step for each in own]),
        arithmetic,
        memory,
        size,
    )
