"""Grids of runs, and what they show over seeds."""

from selfdistill.study.compare import Study, compare

__all__ = ["Study", "compare"]
