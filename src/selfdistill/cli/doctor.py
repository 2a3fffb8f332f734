"""`selfdistill doctor`: checks before a run."""

from pathlib import Path
from typing import Annotated

import typer

from selfdistill.cli.options import run_options
from selfdistill.train.config import RunConfig


@run_options()
def doctor(
    method: Annotated[str, typer.Argument(help='Method expression, such as "drg() + dsr()".')] = "ce()",
    out: Annotated[Path, typer.Option(help="Folder that the run would write to.")] = Path("runs"),
    *,
    config: RunConfig,
) -> None:
    """Check a run without starting it: data, model, taps, heads, batches, memory, disk. Options as for train.

    Each check prints ok or what to change; the exit status is 1 if any check fails. Nothing is written.
    """
    from dataclasses import replace

    from selfdistill.cli.console import aligned
    from selfdistill.inspect.doctor import check

    found = check(replace(config, method=method), out)
    print(aligned([("ok" if each.ok else "change", each.check, each.words) for each in found]))
    if not all(each.ok for each in found):
        raise typer.Exit(1)
