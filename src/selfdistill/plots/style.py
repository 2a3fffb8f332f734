"""How every picture looks: colours, sizes, panels.

A page may be light or dark. Ink and background are therefore the page's own (see `svg`), and data have colours of
middling lightness: a contrast of 3 at least against white and against near-black, and hues that the colour-blind
tell apart. Where a colour comes again, dashes or markers differ.

A figure has 72 dots an inch, so that a point is a pixel of the page: font sizes below are pixels.
"""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

PAGE, PHONE = 720, 340  # pixels of width
INK = "#010203"  # stands for the page's own text colour; no data have it
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6d6d78")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
FADE = LinearSegmentedColormap.from_list(
    "fade", [f"{COLORS[0]}00", COLORS[0]]
)  # from the page's own ground to a colour
GLOW = "inferno"  # laid over images
DOTS = 72  # an inch
LINE, LETTER, LABELS = 18, 7.5, 15  # pixels: of a line of text, a letter, what a panel needs for its labels

LOOK: dict[Any, Any] = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.useoffset": False,
    "lines.linewidth": 1.8,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
}


def drawing(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in this look, whatever else matplotlib is set to."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(LOOK):
            return draw(*args, **kwargs)

    return drawn


def panels(rows: int, columns: int, width: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A figure of `width` pixels with rows x columns axes of `height` pixels a row. -> figure, axes [rows, columns]."""
    figure = Figure(figsize=(width / DOTS, rows * height / DOTS), dpi=DOTS, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def flowing(count: int, width: int, height: float, least: int = 210) -> tuple[Figure, list[Axes]]:
    """So many panels, side by side while each has `least` pixels; rows of even length."""
    fitting = max(1, min(count, width // least))
    rows = -(-count // fitting)
    figure, axes = panels(rows, -(-count // rows), width, height)
    every = list(axes.flat)
    for spare in every[count:]:
        spare.remove()
    return figure, every[:count]


def color(number: int) -> str:
    """The colour of the n-th thing shown."""
    return COLORS[number % len(COLORS)]


def dash(number: int):
    """The dashes of the n-th line: each round of colours has its own."""
    return DASHES[number // len(COLORS) % len(DASHES)]


def marker(number: int) -> str:
    """The marker of the n-th kind of point; neighbours differ in colour and in shape."""
    return MARKERS[(number + number // len(COLORS)) % len(MARKERS)]


def titled(axes: Axes, *lines: str, pad: float | None = None) -> None:
    """A title in lines no longer than the panel is wide."""
    place = axes.get_subplotspec()
    pixels = axes.figure.bbox.width / (place.get_gridspec().ncols if place else 1)
    axes.set_title("\n".join(folded(line, pixels - LABELS) for line in lines if line), pad=pad)


def folded(text: str, pixels: float) -> str:
    """A text in lines of about so many pixels, broken between words and behind an opening bracket or comma."""
    most, lines = max(8, int(pixels // LETTER)), [""]
    for word in re.findall(r"[^\s(,]+[(,]?\s*|[(,]\s*", text):
        if lines[-1] and len(lines[-1] + word.rstrip()) > most:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def bare(axes: Axes) -> None:
    """Leave neither ticks nor frame: for images and maps whose units say nothing."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def scale(figure: Figure, shown: ScalarMappable, axes: Sequence[Axes], label: str) -> Colorbar:
    """What the colours of these panels mean, below them."""
    return figure.colorbar(shown, ax=axes, location="bottom", label=label, shrink=0.6, aspect=40, pad=0.02)


def grow(figure: Figure, lines: int) -> None:
    """Make the figure higher by so many lines of text."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + lines * LINE / DOTS)


def legend(figure: Figure, names: list[str], handles: list, **options) -> None:
    """One legend above all panels, in as many columns as fit; the figure grows by its lines."""
    columns = max(1, min(len(names), int(figure.bbox.width // (45 + 8 * max(map(len, names))))))
    grow(figure, -(-len(names) // columns))
    figure.legend(handles, names, loc="outside upper left", ncols=columns, **options)
