"""Measures of one network: accuracy, calibration, embeddings, robustness, cost."""

from selfdistill.measure.evaluation import BASIC, MEASURES, evaluate

__all__ = ["BASIC", "MEASURES", "evaluate"]
