"""The pictures that a page shows, and why one is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from selfdistill.study import Study


class Undrawn(Exception):  # it is no error
    """Raised by a picture that has nothing to show; its text says why."""


@dataclass(frozen=True)
class Picture:
    """A title, one sentence that says what to see, and what draws a study.

    `draw` gives one `<svg>` element whose ids no other picture has, in `currentColor` where it is ink; it raises
    `Undrawn` where the study does not hold what it shows.
    """

    title: str
    caption: str
    draw: Callable[[Study], str]


@dataclass(frozen=True)
class Drawn:
    """A picture of one study, or the reason why there is none."""

    title: str
    caption: str
    svg: Markup = field(default_factory=Markup)
    reason: str = ""


PICTURES: list[Picture] = []  # in the order of the page


def drawn(study: Study, pictures: Sequence[Picture] | None = None) -> list[Drawn]:
    """Draw all pictures; one that fails does not take the page with it."""
    return [_drawn(picture, study) for picture in (PICTURES if pictures is None else pictures)]


def _drawn(picture: Picture, study: Study) -> Drawn:
    try:
        return Drawn(picture.title, picture.caption, svg=Markup(picture.draw(study)))
    except Undrawn as left:
        return Drawn(picture.title, picture.caption, reason=str(left))
    except Exception as error:  # a page without one picture is better than no page
        return Drawn(picture.title, picture.caption, reason=f"it failed, {type(error).__name__}: {error}")
