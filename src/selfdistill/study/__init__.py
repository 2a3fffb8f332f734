"""Grids of runs and their statistics over seeds or folds."""

from selfdistill.study.compare import compare, compare_all
from selfdistill.study.engine.engine import make_engine
from selfdistill.study.grid import Grid
from selfdistill.study.study import Study
from selfdistill.study.tuning.outcome import Tuning
from selfdistill.study.tuning.tune import tune
from selfdistill.train.config import RunConfig

__all__ = ["Grid", "RunConfig", "Study", "Tuning", "compare", "compare_all", "make_engine", "tune"]
