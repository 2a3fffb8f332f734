"""Measures of one network: accuracy, calibration, embeddings, robustness, cost."""

from selfdistill.metrics.evaluate import BASIC, MEASURES, available_metrics, evaluate, resolve_metric_names

__all__ = ["BASIC", "MEASURES", "available_metrics", "evaluate", "resolve_metric_names"]
