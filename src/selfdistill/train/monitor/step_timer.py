"""Timing of training steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch

EVERY = 4  # steps; the first three of a run are slower and not timed


class Stopwatch:
    """Time every fourth step: a host sync at each step would slow the run."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: list[float] = []

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Time the code inside, if the step with this number is timed."""
        if number % EVERY != EVERY - 1:
            yield
            return
        start = self._now()
        yield
        self.seconds.append(self._now() - start)

    def median_ms(self) -> float | None:
        """Return the median milliseconds of a step; None before the first timed step."""
        return 1000 * median(self.seconds) if self.seconds else None

    def _now(self) -> float:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()
