"""Measures of one trained network."""
