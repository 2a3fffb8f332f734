"""The option `--log`: runs are sent to experiment trackers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.panels import RUN
from selfdistill.trackers.spec import usages

if TYPE_CHECKING:
    from selfdistill.trackers.listener import Tracking
    from selfdistill.train.monitor.listener import Listener

Log = Annotated[
    list[str] | None, typer.Option(help=f"Experiment trackers: {usages()}; default: none.", rich_help_panel=RUN)
]


@contextmanager
def tracking(texts: Sequence[str] | None, group: str) -> "Iterator[Tracking | None]":
    """Start the trackers of `--log`, and end them after the last run. Raises `UserError` for an unknown tracker."""
    if not texts:
        yield None
        return
    from selfdistill.cli.console import errors
    from selfdistill.trackers.listener import Tracking
    from selfdistill.trackers.spec import parse_trackers

    tracking = Tracking(
        parse_trackers(texts), group, lambda text: errors.print(f"selfdistill: {text}", soft_wrap=True, markup=False)
    )
    try:
        yield tracking
    finally:
        tracking.close()


def together(progress: "Listener", tracking: "Tracking | None") -> "Listener":
    """Return one listener for the progress display and the trackers."""
    from selfdistill.train.monitor.listener import Listeners

    return progress if tracking is None else Listeners(progress, tracking)
