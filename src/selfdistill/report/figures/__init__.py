"""Figures of a report: their inputs, functions and rendering."""
