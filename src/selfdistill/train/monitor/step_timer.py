"""Timing of training steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch

EVERY = 4  # steps; the first three of a run are not timed, being slower


class Stopwatch:
    """Seconds of every fourth step: waiting for a device at each would slow the run."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: list[float] = []

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Time what is done inside, if the step of this number is to be timed."""
        if number % EVERY != EVERY - 1:
            yield
            return
        start = self._now()
        yield
        self.seconds.append(self._now() - start)

    def median_ms(self) -> float | None:
        """Median milliseconds of a step; None before the first that was timed."""
        return 1000 * median(self.seconds) if self.seconds else None

    def _now(self) -> float:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()
