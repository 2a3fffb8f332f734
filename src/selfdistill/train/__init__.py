"""The loop: optimiser, schedule, checkpoint, log. Knows no concrete method."""

from selfdistill.train.config import RunConfig
from selfdistill.train.run import run

__all__ = ["RunConfig", "run"]
