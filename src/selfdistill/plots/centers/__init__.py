"""Gradients of a method on two-dimensional features: a small network trained and drawn at several epochs."""

from selfdistill.plots.centers.drawing import draw_centers
from selfdistill.plots.centers.gradients import gradients
from selfdistill.plots.centers.training import METHODS, Snapshot, snapshots

__all__ = ["METHODS", "Snapshot", "draw_centers", "gradients", "snapshots"]
