"""Cost against gain: a point a method, with its interval and a name that covers nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfdistill.report.html.axis import Axis
from selfdistill.study.analysis.summary import Row, comparable, costs

LETTER = 6.7  # pixels of a letter of the names' fixed-width type
LINE = 15  # pixels of a line of text
REACH = 8  # pixels from a point to its name
LONGEST = 24  # letters of a name


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: "Box") -> bool:
        """Whether the two share a point."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True)
class ScatterPoint:
    """A point with its interval, and where its name is written."""

    row: Row
    name: str
    x: float
    y: float
    top: float
    bottom: float
    label: Box


@dataclass(frozen=True)
class Scatter:
    """A drawing of given size."""

    width: int
    height: int
    cost: str  # what x is: step time or compute, relative
    x: Axis
    y: Axis  # points
    marks: list[ScatterPoint]
    numbered: bool  # names are the rows' numbers, for want of room


def scatter(rows: Sequence[Row], width: int, height: int) -> Scatter | None:
    """Draw the rows that have a cost and a difference; None where fewer than two do.

    Names that find no room make way for numbers, counted as in the table from 1.
    """
    shown = comparable(rows)
    if len(shown) < 2:
        return None
    cost, at = costs(shown)
    x = Axis.over(at, 46, width - 14)
    y = Axis.over([end for row in shown for end in (row.low, row.high)], height - 44, 12)
    numbers = [str(number) for number, row in enumerate(rows, 1) if row in shown]
    marks = _placed(shown, at, [_short(row.method) for row in shown], x, y)
    if marks is not None:
        return Scatter(width, height, cost, x, y, marks, numbered=False)
    return Scatter(width, height, cost, x, y, _placed(shown, at, numbers, x, y, crowded=True) or [], numbered=True)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _placed(
    rows: Sequence[Row], at: Sequence[float], names: Sequence[str], x: Axis, y: Axis, crowded: bool = False
) -> list[ScatterPoint] | None:
    """Marks with their names where nothing else lies; None where there is no such place, unless `crowded`."""
    bare = [(row, name, x.at(cost), y.at(row.gain)) for row, cost, name in zip(rows, at, names, strict=True)]
    taken = [Box(x.start, y.at(0) - 1, x.end, y.at(0) + 1)]
    taken += [_point(left, top) for _, _, left, top in bare] + [_bar(row, left, y) for row, _, left, _ in bare]
    field, marks = Box(x.start, y.end, x.end + 10, y.start), []
    for row, name, left, top in bare:
        places = list(_places(left, top, y.at(row.high), y.at(row.low), len(name) * LETTER))
        free = [box for box in places if _within(box, field) and not any(box.covers(other) for other in taken)]
        if not free and not crowded:
            return None
        label = (free or places)[0]
        taken.append(label)
        marks.append(ScatterPoint(row, name, left, top, y.at(row.high), y.at(row.low), label))
    return marks


def _places(x: float, y: float, top: float, bottom: float, width: float) -> Iterator[Box]:
    """Where a name may be written, best first: at the point's sides, then along its interval and at its ends."""
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
