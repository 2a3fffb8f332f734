"""Latency of an exported file beside the eager model: a batch of one, on the CPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from selfdistill.export.formats import Network

MOST, LEAST = 50, 5  # timed calls
SECONDS = 2.0  # of the timed calls of one network


@dataclass(frozen=True)
class Latency:
    """Median times of a call with one example, in milliseconds."""

    ms: float
    eager_ms: float
    threads: int
    warm_up: int  # calls before those timed
    count: int  # of timed calls

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        calls = f"median of {self.count} calls after {self.warm_up}"
        return f"{self.ms:.3g} ms for one example, eager {self.eager_ms:.3g} ms ({threads}, {calls})"


def latency(network: Network, eager: Network, inputs: Mapping[str, Tensor]) -> Latency:
    """Time a network and the eager model on the first row of inputs, one after the other.

    Alternating calls would be disturbed by threads of ONNX Runtime, which wait actively for a while.
    """
    one = {name: each[:1] for name, each in inputs.items()}
    _seconds(eager, one)  # the first call may take many times as long
    count = min(max(int(SECONDS / _seconds(eager, one)), LEAST), MOST)
    warm_up = count // LEAST
    eager_ms, ms = (_median_ms(each, one, warm_up, count) for each in (eager, network))
    return Latency(ms, eager_ms, torch.get_num_threads(), warm_up, count)


def _median_ms(network: Network, inputs: Mapping[str, Tensor], warm_up: int, count: int) -> float:
    return 1000 * median([_seconds(network, inputs) for _ in range(warm_up + count)][warm_up:])


def _seconds(network: Network, inputs: Mapping[str, Tensor]) -> float:
    start = perf_counter()
    network(inputs)
    return perf_counter() - start
