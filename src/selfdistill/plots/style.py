"""Style of all figures: colors, sizes, panels.

Figures suit light and dark pages: text color and background are the page's own (see `svg`), and data colors are of
medium lightness, with a contrast of at least 3 against white and near-black and hues for color-blind readers. When a
color repeats, dashes or markers differ.

Figures have 72 dots per inch, so that a point is a pixel of the page: font sizes below are pixels.
"""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

Dash: TypeAlias = "str | tuple[int, tuple[float, ...]]"  # matplotlib's linestyle
P = ParamSpec("P")
R = TypeVar("R")

PAGE, PHONE = 720, 340  # pixels of width
INK = "#010203"  # placeholder of the page's text color; no data use it
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6d6d78")
DASHES: tuple[Dash, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
FADE = LinearSegmentedColormap.from_list("fade", [f"{COLORS[0]}00", COLORS[0]])  # from transparent to a color
GLOW = "inferno"  # color map of overlays on images
DOTS = 72  # per inch
LINE, LETTER, LABELS = 18, 7.5, 15  # pixels: height of a line, width of a letter, margin of a panel for its labels

RC_PARAMS: dict[Any, Any] = {
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


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Apply the style `RC_PARAMS` to a drawing function, independent of matplotlib's global settings."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(RC_PARAMS):
            return draw(*args, **kwargs)

    return drawn


def panels(rows: int, columns: int, width: int, height: float) -> tuple[Figure, np.ndarray]:
    """Create a figure of `width` pixels with axes [rows, columns], `height` pixels per row."""
    figure = Figure(figsize=(width / DOTS, rows * height / DOTS), dpi=DOTS, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def panel_grid(count: int, width: int, height: float, least: int = 210) -> tuple[Figure, list[Axes]]:
    """Create `count` panels, as many per row as fit with at least `least` pixels each, in rows of even length."""
    fitting = max(1, min(count, width // least))
    rows = -(-count // fitting)
    figure, axes = panels(rows, -(-count // rows), width, height)
    every = list(axes.flat)
    for spare in every[count:]:
        spare.remove()
    return figure, every[:count]


def color(number: int) -> str:
    """Return the color of the n-th series."""
    return COLORS[number % len(COLORS)]


def dash(number: int) -> Dash:
    """Return the line style of the n-th series: it changes each time the colors repeat."""
    return DASHES[number // len(COLORS) % len(DASHES)]


def marker(number: int) -> str:
    """Return the marker of the n-th series; neighbors differ in color and shape."""
    return MARKERS[(number + number // len(COLORS)) % len(MARKERS)]


def set_title(axes: Axes, *lines: str, pad: float | None = None) -> None:
    """Set a title, wrapped to the width of the panel."""
    place = axes.get_subplotspec()
    pixels = axes.figure.bbox.width / (place.get_gridspec().ncols if place else 1)
    axes.set_title("\n".join(wrap_text(line, pixels - LABELS) for line in lines if line), pad=pad)


def wrap_text(text: str, pixels: float) -> str:
    """Wrap text to a width in pixels, at spaces and after opening brackets and commas."""
    most, lines = max(8, int(pixels // LETTER)), [""]
    for word in re.findall(r"[^\s(,]+[(,]?\s*|[(,]\s*", text):
        if lines[-1] and len(lines[-1] + word.rstrip()) > most:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def hide_axes(axes: Axes) -> None:
    """Remove ticks and frame, for images and for maps without units."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def colorbar(figure: Figure, image: ScalarMappable, axes: Sequence[Axes], label: str) -> Colorbar:
    """Add a color bar below panels."""
    return figure.colorbar(image, ax=axes, location="bottom", label=label, shrink=0.6, aspect=40, pad=0.02)


def add_height(figure: Figure, lines: int) -> None:
    """Increase the height of a figure by lines of text."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + lines * LINE / DOTS)


def legend(figure: Figure, names: list[str], handles: Sequence[Artist], *, handlelength: float | None = None) -> None:
    """Add one legend above all panels, in as many columns as fit, and increase the figure's height accordingly."""
    columns = max(1, min(len(names), int(figure.bbox.width // (45 + 8 * max(map(len, names))))))
    add_height(figure, -(-len(names) // columns))
    figure.legend(handles, names, loc="outside upper left", ncols=columns, handlelength=handlelength)
