"""`selfdistill log`: finished runs are sent to experiment trackers."""

from pathlib import Path
from typing import Annotated

import typer

from selfdistill.trackers.spec import usages


def log(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or of a study.")],
    to: Annotated[list[str], typer.Option(help=f"Trackers: {usages()}.")],
) -> None:
    """Send what is recorded of runs to experiment trackers.

    Epochs that a tracker has received already are not sent again, so that the command can be repeated.
    """
    from selfdistill.errors import UserError
    from selfdistill.trackers.replay import replay
    from selfdistill.trackers.spec import parse_trackers

    failed = False
    for spec in parse_trackers(to):
        for run, epochs, error in replay(folder, spec):
            print(f"{spec}: {run}: {error or f'{epochs} epochs sent'}")
            failed |= error is not None
    if failed:
        raise UserError("some runs were not sent; re-run the command to send the rest")
