"""Sorted outputs: mean and standard deviation of the probabilities at each rank over images."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from selfdistill.functional import softmax_with_temperature, sort_logits
from selfdistill.plots.style import INK, PAGE, color, dash, legend, panels, styled

TOP = 31  # ranks drawn as bars


class Ranked(NamedTuple):
    """Probabilities by rank, the largest first. [C] each."""

    mean: np.ndarray  # over images
    std: np.ndarray  # over images


def ranked_outputs(logits: Tensor, temperature: float = 4.0) -> Ranked:
    """Sort each image's probabilities at a temperature and aggregate each rank over images. [N, C]."""
    rows = softmax_with_temperature(sort_logits(logits.double()), temperature).flip(1)
    return Ranked(rows.mean(dim=0).numpy(), rows.std(dim=0, correction=0).numpy())


@styled
def draw_ranked(found: Mapping[str, Ranked], *, width: int = PAGE) -> Figure:
    """Draw the standard deviation of every rank, and below it bars of the first 31 ranks with error bars.

    Each entry has its own line and color, such as a method and the baseline.
    """
    figure, axes = panels(2, 1, width, 200)
    spread, bars = axes[:, 0]
    lines = [_line(spread, each.std, number) for number, each in enumerate(found.values())]
    for number, each in enumerate(found.values()):
        _bars(bars, each, number, len(found))
    spread.set(ylabel="std. dev. over images", xlabel="rank", ylim=(0, None))
    bars.set(ylabel="probability", xlabel=f"rank, the first {TOP}" if _ranks(found) > TOP else "rank", ylim=(0, None))
    for each, last in ((spread, _ranks(found)), (bars, min(TOP, _ranks(found)))):
        each.set_xlim(0.3, last + 0.7)
        each.grid(axis="y")
        each.xaxis.set_major_locator(MaxNLocator(11, integer=True, min_n_ticks=1))
    legend(figure, list(found), lines)
    return figure


def _line(axes: Axes, spread: np.ndarray, number: int) -> Line2D:
    ranks = np.arange(1, len(spread) + 1)
    return axes.plot(ranks, spread, color=color(number), linestyle=dash(number), marker="o", markersize=2.5)[0]


def _bars(axes: Axes, each: Ranked, number: int, count: int) -> None:
    """Draw the n-th of `count` bars at each rank."""
    width = 0.8 / count
    places = np.arange(1, len(each.mean[:TOP]) + 1) + (number - (count - 1) / 2) * width
    whiskers = {"elinewidth": 0.8, "ecolor": INK, "alpha": 0.6}
    axes.bar(places, each.mean[:TOP], width, yerr=each.std[:TOP], color=color(number), error_kw=whiskers)


def _ranks(found: Mapping[str, Ranked]) -> int:
    return max(len(each.mean) for each in found.values())
