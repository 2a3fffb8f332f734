"""The pictures that a page shows, and why one is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from selfdistill.errors import UserError
from selfdistill.files import folder_name
from selfdistill.plots import PAGE, PHONE, svg
from selfdistill.report.figures.inputs import Evidence


class FigureUnavailable(Exception):
    """Raised by a picture that has nothing to show; its text says why."""


@dataclass(frozen=True)
class Picture:
    """A title, one sentence that says what to see, the numbers and their drawing.

    `read` gives the arguments of `draw` besides `width` (pixels), or raises `FigureUnavailable` or `UserError` if
    there is nothing to show. `draw` gives a matplotlib figure in the look of `selfdistill.plots.style`.
    """

    title: str
    caption: str
    read: Callable[[Evidence], tuple[Any, ...]]
    draw: Callable[..., Any]


@dataclass(frozen=True)
class Drawn:
    """A picture of one study, for a desk and for a phone, or the reason why there is none."""

    title: str
    caption: str
    wide: Markup | None = None
    narrow: Markup | None = None
    reason: str = ""


def drawn(evidence: Evidence, pictures: Sequence[Picture], place: str) -> list[Drawn]:
    """Draw all pictures; one that fails does not take the page with it. `place` is what their ids begin with."""
    return [_drawn(picture, evidence, place) for picture in pictures]


def reasons(found: Sequence[Drawn]) -> dict[str, list[str]]:
    """The titles of those left out, by the reason."""
    why: dict[str, list[str]] = {}
    for picture in found:
        if picture.reason:
            why.setdefault(picture.reason, []).append(picture.title)
    return why


def _drawn(picture: Picture, evidence: Evidence, place: str) -> Drawn:
    name = folder_name(f"{place}-{picture.title}").lower()
    try:
        numbers = picture.read(evidence)
        figures = {width: picture.draw(*numbers, width=width) for width in (PAGE, PHONE)}
        wide, narrow = (Markup(svg(each, f"{name}-{width}", picture.title)) for width, each in figures.items())
    except (FigureUnavailable, UserError) as left:
        return Drawn(picture.title, picture.caption, reason=str(left))
    except Exception as error:  # a page without one picture is better than no page
        return Drawn(picture.title, picture.caption, reason=f"it failed, {type(error).__name__}: {error}")
    return Drawn(picture.title, picture.caption, wide, narrow)
