"""Exponential moving average of the weights (https://arxiv.org/abs/2411.18704)."""

from selfdistill.method import Method, Paper
from selfdistill.recipe import Share, recipe
from selfdistill.roles import Average

PAPER = Paper(
    "Exponential Moving Average of Weights in Deep Learning: Dynamics and Benefits",
    "Morales-Brotons, Daniel and Vogels, Thijs and Hendrikx, Hadrien",
    2024,
    "Transactions on Machine Learning Research",
    "https://arxiv.org/abs/2411.18704",
)


@recipe(PAPER)
def ema(decay: Share = 0.999) -> Method:
    """An average of the student's weights is deployed in its place; training is as it was."""
    return Method(networks={"average": Average(decay=decay)}, deploys="average")
