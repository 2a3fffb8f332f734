"""What a method does to features, seen in a network that has two of them: where each image is drawn, epoch by epoch."""

from selfdistill.plots.centers.drawing import draw_centers
from selfdistill.plots.centers.gradients import gradients
from selfdistill.plots.centers.training import METHODS, Moment, moments

__all__ = ["METHODS", "Moment", "draw_centers", "gradients", "moments"]
