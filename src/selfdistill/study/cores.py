"""The cores of this machine, and how they are shared out."""

import os


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_out(cores: int, workers: int) -> int:
    """The threads of each worker."""
    return max(1, cores // workers)
