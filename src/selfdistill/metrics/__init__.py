"""Metrics of one network: accuracy, calibration, embeddings, robustness, cost. Loaded on first use, without torch."""

import importlib
from typing import TYPE_CHECKING

from selfdistill.metrics.catalog import BASIC, METRICS

if TYPE_CHECKING:
    from selfdistill.metrics.evaluation import available_metrics, evaluate, resolve_metric_names

__all__ = ["BASIC", "METRICS", "available_metrics", "evaluate", "resolve_metric_names"]


def __getattr__(name: str) -> object:
    """Import the evaluation functions on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'selfdistill.metrics' has no attribute {name!r}")
    return getattr(importlib.import_module("selfdistill.metrics.evaluation"), name)
