"""Measures of one network: accuracy, calibration, cost."""
