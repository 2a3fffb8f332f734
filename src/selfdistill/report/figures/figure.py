"""Figures of a page, rendered to SVG, or the reason why one is unavailable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from selfdistill.errors import UserError
from selfdistill.files import folder_name
from selfdistill.plots import PAGE, PHONE, Figure, svg
from selfdistill.report.figures.inputs import FigureInputs
from selfdistill.task import CLASSIFY, TaskName


class FigureUnavailable(Exception):
    """Raised by a figure that has no data; the message gives the reason."""


@dataclass(frozen=True)
class Picture:
    """Definition of a figure: title, caption of one sentence, data and drawing function.

    `read` returns the arguments of `draw` besides `width` (pixels), or raises `FigureUnavailable` or `UserError` if
    there are no data. `draw` returns a matplotlib figure in the style of `selfdistill.plots.style`.
    """

    title: str
    caption: str
    read: Callable[[FigureInputs], tuple[object, ...]]
    draw: Callable[..., Figure]
    tasks: tuple[TaskName, ...] = (CLASSIFY,)  # that it can show


@dataclass(frozen=True)
class RenderedFigure:
    """SVG of a figure for wide and narrow screens, or the reason why it is unavailable."""

    title: str
    caption: str
    wide: Markup | None = None
    narrow: Markup | None = None
    reason: str = ""


def render_figures(inputs: FigureInputs, pictures: Sequence[Picture], prefix: str) -> list[RenderedFigure]:
    """Render the figures of the study's task; an error in one becomes its reason. Ids begin with `prefix`."""
    task = inputs.study.task.name
    return [_render(picture, inputs, prefix) for picture in pictures if task in picture.tasks]


def unavailable_reasons(found: Sequence[RenderedFigure]) -> dict[str, list[str]]:
    """Group the titles of unavailable figures by reason."""
    why: dict[str, list[str]] = {}
    for picture in found:
        if picture.reason:
            why.setdefault(picture.reason, []).append(picture.title)
    return why


def drawings(draw: Callable[..., Figure], numbers: Sequence[object], name: str, title: str) -> list[Markup]:
    """Return the SVG of a figure for wide and for narrow screens; ids begin with `name`."""
    return [Markup(svg(draw(*numbers, width=width), f"{name}-{width}", title)) for width in (PAGE, PHONE)]


def _render(picture: Picture, inputs: FigureInputs, prefix: str) -> RenderedFigure:
    name = folder_name(f"{prefix}-{picture.title}").lower()
    try:
        wide, narrow = drawings(picture.draw, picture.read(inputs), name, picture.title)
    except (FigureUnavailable, UserError) as left:
        return RenderedFigure(picture.title, picture.caption, reason=str(left))
    except Exception as error:  # an error in one figure must not prevent the page
        return RenderedFigure(picture.title, picture.caption, reason=f"it failed, {type(error).__name__}: {error}")
    return RenderedFigure(picture.title, picture.caption, wide, narrow)
