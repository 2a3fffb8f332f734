"""Figures of a report: what they are drawn from and how."""
