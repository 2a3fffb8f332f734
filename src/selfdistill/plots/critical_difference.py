"""Critical-difference diagram: mean ranks on one axis, with bars over methods that a test does not tell apart."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from selfdistill.plots.style import INK, PAGE, panels, styled

ROW = 18  # pixels of a method's line
TOP = 70  # pixels of the axis and the critical difference
BAR = 0.35  # height of a bar of a group, in rows


@styled
def draw_critical_difference(
    ranks: Mapping[str, float], critical: float, groups: Sequence[tuple[str, str]], *, width: int = PAGE
) -> Figure:
    """Draw mean ranks, the best first, as in Demšar, 2006, figure 1; names stand at their rank, one line each."""
    rows = len(ranks)
    figure, axes = panels(1, 1, width, TOP + ROW * (rows + len(groups)))
    drawn: Axes = axes[0, 0]
    drawn.set(xlim=(0.5, rows + 0.5), ylim=(rows + len(groups) + 0.5, -2), yticks=[])
    drawn.xaxis.tick_top()
    drawn.set_xticks(range(1, rows + 1))
    drawn.set_xlabel("mean rank (1 is the best)")
    drawn.xaxis.set_label_position("top")
    for side in ("left", "right", "bottom"):
        drawn.spines[side].set_visible(False)
    end = min(1 + critical, rows)
    drawn.plot([1, end], [-0.8, -0.8], color=INK, linewidth=1, marker="|")
    drawn.annotate(
        f"critical difference {critical:.2f}", ((1 + end) / 2, -0.8), (0, 3), textcoords="offset points", ha="center"
    )
    for number, (first, last) in enumerate(groups):
        height = number * 2 * BAR
        drawn.plot([ranks[first] - 0.05, ranks[last] + 0.05], [height, height], color=INK, linewidth=3)
    for row, (name, rank) in enumerate(ranks.items()):
        _name(drawn, name, rank, len(groups) * 2 * BAR + row + 0.5, rows)
    return figure


def _name(axes: Axes, name: str, rank: float, place: float, rows: int) -> None:
    """Draw a line down from the axis at a rank, and the method's name beside its end, on the side with more space."""
    left = rank > (rows + 1) / 2
    axes.plot([rank, rank], [-0.4, place], color=INK, alpha=0.4)
    axes.annotate(
        f"{name}  {rank:.2f}",
        (rank, place),
        (-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
    )
