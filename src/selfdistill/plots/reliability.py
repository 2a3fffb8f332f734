"""Reliability diagram: whether a network is right as often as it is sure."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.plots.style import COLORS, INK, PAGE, drawing, flowing, legend, titled


class Reliability(NamedTuple):
    """Predictions in bins of equal width of their confidence. [K] each; nan where a bin is empty."""

    edges: np.ndarray  # [K + 1] from 0 to 1
    share: np.ndarray  # of all predictions
    confidence: np.ndarray  # mean
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error, from 0 to 1: the mean gap over predictions."""
        return float(np.nansum(self.share * np.abs(self.accuracy - self.confidence)))


def reliability(logits: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Count predictions by confidence, the largest probability. [N, C], [N]."""
    sure, said = logits.double().softmax(dim=1).max(dim=1)
    confidence, right = sure.numpy(), (said == labels).double().numpy()
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)  # bins are [low, high)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sums = [np.bincount(place, weights=each, minlength=bins) / counts for each in (confidence, right)]
    return Reliability(edges, counts / counts.sum(), *sums)


@drawing
def draw_reliability(found: Mapping[str, Reliability], *, width: int = PAGE) -> Figure:
    """A panel for each method: accuracy by confidence, the gap to what it claims, and how often it is so sure."""
    figure, axes = flowing(len(found), width, 335)
    drawn = [_panel(each, name, one) for each, (name, one) in zip(axes, found.items(), strict=True)]
    legend(figure, ["accuracy", "gap to the confidence", "share of predictions"], drawn[0])
    return figure


def _panel(axes: Axes, name: str, found: Reliability) -> list:
    """Bars from 0 to 1 above the line, the share of predictions below it."""
    middle, width = (found.edges[:-1] + found.edges[1:]) / 2, np.diff(found.edges)
    accuracy = axes.bar(middle, found.accuracy, width, color=COLORS[0], alpha=0.6)
    gap = axes.bar(middle, found.confidence - found.accuracy, width / 3, found.accuracy, color=COLORS[1])
    share = axes.bar(middle, -found.share / 4, width, -0.04, color=COLORS[4])
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    titled(axes, name, f"ECE {100 * found.error:.1f} %")
    axes.set(xlabel="confidence", ylabel="accuracy")
    axes.set(xlim=(0, 1), ylim=(-0.3, 1.02), aspect="equal", yticks=[0, 0.5, 1], xticks=[0, 0.5, 1])
    axes.spines["left"].set_bounds(0, 1)
    return [accuracy, gap, share]
