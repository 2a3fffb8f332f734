"""Scatter plot of cost and gain: a point per method with its interval, and labels without overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfdistill.report.html.axis import Axis
from selfdistill.study.analysis.summary import Row, comparable, costs

LETTER = 6.7  # pixels: width of a letter of the monospace labels
LINE = 15  # pixels: height of a line of text
REACH = 8  # pixels from a point to its label
LONGEST = 24  # letters of a label


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: "Box") -> bool:
        """Return whether two boxes overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True)
class ScatterPoint:
    """A point with its interval and the box of its label."""

    row: Row
    name: str
    x: float
    y: float
    top: float
    bottom: float
    label: Box


@dataclass(frozen=True)
class Scatter:
    """A plot of a given size."""

    width: int
    height: int
    cost: str  # quantity on the x axis: step time or compute, relative
    x: Axis
    y: Axis  # points
    points: list[ScatterPoint]
    numbered: bool  # labels are row numbers, because names do not fit


def scatter(rows: Sequence[Row], width: int, height: int) -> Scatter | None:
    """Lay out the rows that have a cost and a difference; None for fewer than two.

    If the names do not fit, labels are the row numbers in the table, from 1.
    """
    shown = comparable(rows)
    if len(shown) < 2:
        return None
    cost, at = costs(shown)
    x = Axis.over(at, 46, width - 14)
    y = Axis.over([end for row in shown for end in (row.low, row.high)], height - 44, 12)
    numbers = [str(number) for number, row in enumerate(rows, 1) if row in shown]
    points = _placed(shown, at, [_short(row.method) for row in shown], x, y)
    if points is not None:
        return Scatter(width, height, cost, x, y, points, numbered=False)
    return Scatter(width, height, cost, x, y, _placed(shown, at, numbers, x, y, crowded=True) or [], numbered=True)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _placed(
    rows: Sequence[Row], at: Sequence[float], names: Sequence[str], x: Axis, y: Axis, crowded: bool = False
) -> list[ScatterPoint] | None:
    """Place points and labels without overlap; None if a label does not fit, unless `crowded`."""
    bare = [(row, name, x.at(cost), y.at(row.gain)) for row, cost, name in zip(rows, at, names, strict=True)]
    taken = [Box(x.start, y.at(0) - 1, x.end, y.at(0) + 1)]
    taken += [_point(left, top) for _, _, left, top in bare] + [_bar(row, left, y) for row, _, left, _ in bare]
    field, points = Box(x.start, y.end, x.end + 10, y.start), []
    for row, name, left, top in bare:
        places = list(_places(left, top, y.at(row.high), y.at(row.low), len(name) * LETTER))
        free = [box for box in places if _within(box, field) and not any(box.covers(other) for other in taken)]
        if not free and not crowded:
            return None
        label = (free or places)[0]
        taken.append(label)
        points.append(ScatterPoint(row, name, left, top, y.at(row.high), y.at(row.low), label))
    return points


def _places(x: float, y: float, top: float, bottom: float, width: float) -> Iterator[Box]:
    """Yield label positions, best first: beside the point, along its interval, at the interval's ends."""
    offsets = [0.0] + [sign * k for k in (10, 18, 28, 40, 55, 70) for sign in (-1, 1)]
    inside = [offset for offset in offsets if top - LINE <= y + offset <= bottom + LINE]
    for offset in inside:
        for left in (x + REACH, x - REACH - width):
            yield Box(left, y + offset - LINE / 2, left + width, y + offset + LINE / 2)
    for middle in (top - LINE, bottom + LINE):
        yield Box(x - width / 2, middle - LINE / 2, x + width / 2, middle + LINE / 2)


def _point(x: float, y: float) -> Box:
    return Box(x - 6, y - 6, x + 6, y + 6)


def _bar(row: Row, x: float, y: Axis) -> Box:
    return Box(x - 2, y.at(row.high), x + 2, y.at(row.low))


def _within(box: Box, field: Box) -> bool:
    return field.left <= box.left and box.right <= field.right and field.top <= box.top and box.bottom <= field.bottom
