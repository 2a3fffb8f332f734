"""The shape of predictions: outputs ranked from largest to smallest, and how far they spread over images."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from selfdistill.functional import softmax_with_temperature, sort_logits
from selfdistill.plots.style import INK, PAGE, color, dash, drawing, legend, panels

TOP = 31  # ranks whose bars are drawn


class Ranked(NamedTuple):
    """Probabilities by rank, the largest first. [C] each."""

    mean: np.ndarray  # over images
    spread: np.ndarray  # standard deviation over images


def ranked_outputs(logits: Tensor, temperature: float = 4.0) -> Ranked:
    """Rank each image's probabilities at a temperature, and compare the images rank by rank. [N, C]."""
    rows = softmax_with_temperature(sort_logits(logits.double()), temperature).flip(1)
    return Ranked(rows.mean(dim=0).numpy(), rows.std(dim=0, correction=0).numpy())


@drawing
def draw_ranked(found: Mapping[str, Ranked], *, width: int = PAGE) -> Figure:
    """Above, the spread of every rank; below, bars of the 31 largest ranks, with the spread as whiskers.

    A line and a colour for each: before and after training, or with a method and without.
    """
    figure, axes = panels(2, 1, width, 200)
    spread, bars = axes[:, 0]
    lines = [_line(spread, each.spread, number) for number, each in enumerate(found.values())]
    for number, each in enumerate(found.values()):
        _bars(bars, each, number, len(found))
    spread.set(ylabel="spread over images", xlabel="rank", ylim=(0, None))
    bars.set(ylabel="probability", xlabel=f"rank, the first {TOP}" if _ranks(found) > TOP else "rank", ylim=(0, None))
    for each, last in ((spread, _ranks(found)), (bars, min(TOP, _ranks(found)))):
        each.set_xlim(0.3, last + 0.7)
        each.grid(axis="y")
        each.xaxis.set_major_locator(MaxNLocator(11, integer=True, min_n_ticks=1))
    legend(figure, list(found), lines)
    return figure


def _line(axes: Axes, spread: np.ndarray, number: int):
    ranks = np.arange(1, len(spread) + 1)
    return axes.plot(ranks, spread, color=color(number), linestyle=dash(number), marker="o", markersize=2.5)[0]


def _bars(axes: Axes, each: Ranked, number: int, count: int) -> None:
    """The n-th of so many bars at each rank."""
    width = 0.8 / count
    places = np.arange(1, len(each.mean[:TOP]) + 1) + (number - (count - 1) / 2) * width
    whiskers = {"elinewidth": 0.8, "ecolor": INK, "alpha": 0.6}
    axes.bar(places, each.mean[:TOP], width, yerr=each.spread[:TOP], color=color(number), error_kw=whiskers)


def _ranks(found: Mapping[str, Ranked]) -> int:
    return max(len(each.mean) for each in found.values())
