"""Reliability diagram: accuracy by confidence, and the expected calibration error."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.metrics.calibration import equal_width_bins
from selfdistill.metrics.inputs import checked_pair
from selfdistill.metrics.prediction import max_probability, predicted_class
from selfdistill.plots.style import COLORS, INK, PAGE, legend, panel_grid, set_title, styled


class Reliability(NamedTuple):
    """Predictions in equal-width confidence bins. [K] each; NaN for empty bins."""

    edges: np.ndarray  # [K + 1] from 0 to 1
    share: np.ndarray  # of all predictions
    confidence: np.ndarray  # mean
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error, from 0 to 1."""
        return float(np.nansum(self.share * np.abs(self.accuracy - self.confidence)))


def reliability(logits: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Bin predictions by confidence (the largest probability). [N, C], [N]."""
    logits, labels = checked_pair(logits, labels)
    sure, correct = max_probability(logits), (predicted_class(logits) == labels).double()
    place = equal_width_bins(sure, bins).numpy()
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sums = [np.bincount(place, weights=each, minlength=bins) / counts for each in (sure, correct)]
    return Reliability(np.linspace(0, 1, bins + 1), counts / counts.sum(), *sums)


@styled
def draw_reliability(found: Mapping[str, Reliability], *, width: int = PAGE) -> Figure:
    """Draw a panel per method: accuracy by confidence, the calibration gap, and the share of predictions."""
    figure, axes = panel_grid(len(found), width, 335)
    drawn = [_panel(each, name, one) for each, (name, one) in zip(axes, found.items(), strict=True)]
    handles = cast("list[Artist]", drawn[0])  # matplotlib also accepts containers
    legend(figure, ["accuracy", "gap to the confidence", "share of predictions"], handles)
    return figure


def _panel(axes: Axes, name: str, found: Reliability) -> list[BarContainer]:
    """Draw accuracy and gap as bars above the axis, and the share of predictions below it."""
    middle, width = (found.edges[:-1] + found.edges[1:]) / 2, np.diff(found.edges)
    accuracy = axes.bar(middle, found.accuracy, width, color=COLORS[0], alpha=0.6)
    gap = axes.bar(middle, found.confidence - found.accuracy, width / 3, found.accuracy, color=COLORS[1])
    share = axes.bar(middle, -found.share / 4, width, -0.04, color=COLORS[4])
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    set_title(axes, name, f"ECE {100 * found.error:.1f} %")
    axes.set(xlabel="confidence", ylabel="accuracy")
    axes.set(xlim=(0, 1), ylim=(-0.3, 1.02), aspect="equal", yticks=[0, 0.5, 1], xticks=[0, 0.5, 1])
    axes.spines["left"].set_bounds(0, 1)
    return [accuracy, gap, share]
