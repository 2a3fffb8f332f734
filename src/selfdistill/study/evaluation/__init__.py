"""Metrics of the finished runs of a study."""
