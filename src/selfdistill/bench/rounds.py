"""Interleaved benchmark rounds: each measures every candidate, so that other load affects all equally."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, quantiles

from selfdistill.bench.candidate import WARMUP_STEPS, Candidate, Seconds
from selfdistill.bench.compilation import Compilation
from selfdistill.data.kinds import AnySplits
from selfdistill.errors import UserError
from selfdistill.methods import parse_method
from selfdistill.train.config import RunConfig

BASELINE = "ce()"
FLOOR = "ce() again"  # the baseline against itself: the noise floor


@dataclass(frozen=True)
class Quartiles:
    """A median and the quartiles around it."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quartiles":
        """Compute the quartiles of two or more values."""
        return cls(*quantiles(values, n=4, method="inclusive"))


@dataclass(frozen=True)
class Cost:
    """Cost of a method per step; ratios are to cross-entropy in the same round."""

    method: str
    images_per_second: float
    step_ms: float
    step: Quartiles  # ratio of whole steps
    terms: Quartiles  # 1 + the time of the terms alone, in steps of cross-entropy
    data: Quartiles  # share of the step spent waiting for the batch
    arithmetic: float  # ratio of FLOPs
    memory: float  # ratio of peak memory
    bytes: int
    compilation: Compilation | None = None  # of compiled steps


def run_rounds(
    methods: Sequence[str],
    base: RunConfig,
    splits: AnySplits,
    *,
    rounds: int,
    steps: int,
    on_round: Callable[[int], None] = lambda number: None,
) -> list[Cost]:
    """Time the training steps of each method and of `ce()`, in `rounds` rounds of `steps` steps each.

    With `base.compile`, the eager steps are timed in the same rounds, and their arithmetic and memory are those of the
    costs. The first two costs are the baseline and the noise floor. `on_round` is called with each round's number.
    Raises `UserError` if a method, the model and the data do not fit.
    """
    for count, least, option in ((rounds, 2, "rounds"), (steps, 1, "steps")):
        if count < least:
            raise UserError(f"{option} must be {least} or more, but is {count}")
    texts = dict.fromkeys(parse_method(each).text for each in methods)
    labels = [(BASELINE, BASELINE), (FLOOR, BASELINE), *((text, text) for text in texts if text != BASELINE)]
    candidates = [Candidate(label, replace(base, method=text), splits) for label, text in labels]
    plain = replace(base, compile=False, compile_mode="default")
    eager = [Candidate(label, replace(plain, method=text), splits) for label, text in labels if base.compile]
    every = [*candidates, *eager]
    times: list[list[Seconds]] = [[] for _ in every]
    for number in range(rounds):
        first = number % len(every)  # rotate, so that no candidate always follows the same one
        for k in [*range(first, len(every)), *range(first)]:
            times[k].append(_mean([every[k].time_step() for _ in range(steps)]))
        on_round(number + 1)
    counted = eager or candidates  # operations in a graph cannot be counted
    flops, sizes = [each.flops() for each in counted], [each.bytes() for each in counted]
    costs = [
        _cost(each.label, base.batch_size, times[k], times[0], flops[k] / flops[0], sizes[k] / sizes[0], sizes[k])
        for k, each in enumerate(candidates)
    ]
    compiled = zip(candidates, costs, times[len(candidates) :], strict=False)  # none without base.compile
    found = [replace(cost, compilation=_compilation(each, cost, own)) for each, cost, own in compiled]
    return found or costs


def _compilation(compiled: Candidate, cost: Cost, eager: Sequence[Seconds]) -> Compilation:
    seconds = max(compiled.warmup - WARMUP_STEPS * cost.step_ms / 1000, 0.0)
    return Compilation(seconds, 1000 * median(each.step for each in eager), cost.step_ms)


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
    step, base_step = median(each.step for each in own), median(each.step for each in base)
    return Cost(
        label,
        images / step,
        1000 * step,
        Quartiles.of([one.step / other.step for one, other in zip(own, base, strict=True)]),
        Quartiles.of([1 + each.terms / base_step for each in own]),
        Quartiles.of([each.data / each.step for each in own]),
        arithmetic,
        memory,
        size,
    )
