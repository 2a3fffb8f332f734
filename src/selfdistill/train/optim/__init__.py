"""Optimizer, learning-rate schedule and loss scaling."""
