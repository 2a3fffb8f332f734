"""`selfdistill doctor`: whether a run will work."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.options import configured


@configured()
def doctor(
    method: Annotated[str, typer.Argument(help='Method expression, as in "drg() + dsr()".')] = "ce()",
    out: Annotated[Path, typer.Option(help="Folder that the run would be written to.")] = Path("runs"),
    *,
    recipe: dict[str, Any],
) -> None:
    """Check a run before it starts: data, model, taps, heads, batches, memory, disk. Takes the options of train.

    Each check is ok or says what to change; the exit status is 1 where one is not. Nothing is written.
    """
    from selfdistill.cli.console import aligned
    from selfdistill.inspect.doctor import check
    from selfdistill.train.config import RunConfig

    found = check(RunConfig(method, **recipe), out)
    print(aligned([("ok" if each.ok else "change", each.check, each.words) for each in found]))
    if not all(each.ok for each in found):
        raise typer.Exit(1)
