"""Measures of one network: accuracy, calibration, embeddings, robustness, cost."""

from selfdistill.metrics.evaluate import BASIC, MEASURES, asked, evaluate, possible

__all__ = ["BASIC", "MEASURES", "asked", "evaluate", "possible"]
