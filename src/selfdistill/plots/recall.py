"""Recall of each class: the share of its images that are recognized."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.plots.confusion import confusion
from selfdistill.plots.style import LINE, PAGE, color, legend, marker, panels, set_title, styled

MOST = 30  # classes drawn
LETTERS = 24  # of a class's name
AROUND = 70  # pixels above and below the rows


class Recalls(NamedTuple):
    """Recall and number of images of each class. [C] each."""

    recall: np.ndarray  # from 0 to 1; NaN without an image
    images: np.ndarray


def recalls(logits: Tensor, labels: Tensor) -> Recalls:
    """Compute the recall of each class. [N, C], [N]."""
    counts = confusion(logits, labels)
    images = counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return Recalls(np.diag(counts) / images, images)


@styled
def draw_recalls(found: Mapping[str, Recalls], classes: Sequence[str], *, width: int = PAGE) -> Figure:
    """Draw a row per class and a marker per method, from the lowest mean recall on; of many classes the lowest."""
    table = np.array([each.recall for each in found.values()])
    images = next(iter(found.values())).images
    seen = images.nonzero()[0]
    rows = seen[np.argsort(table[:, seen].mean(axis=0), kind="stable")][:MOST]
    figure, ((axes,),) = panels(1, 1, width, AROUND + LINE * len(rows))
    places = np.arange(len(rows))
    handles = [
        axes.plot(100 * each[rows], places, linestyle="none", marker=marker(k), color=color(k), clip_on=False)[0]
        for k, each in enumerate(table)
    ]
    axes.set_yticks(places, [f"{_short(classes[row])} ({images[row]:,})" for row in rows])
    axes.set(xlabel="recall in percent", xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="both")
    set_title(axes, f"the {MOST} of {len(seen)} classes with the lowest recall" if len(seen) > MOST else "")
    legend(figure, [*found], handles)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
