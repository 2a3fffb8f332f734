"""`selfdistill doctor`: checks before a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.options import run_options
from selfdistill.train.config import RunConfig

if TYPE_CHECKING:
    from selfdistill.train.preflight import Finding


@run_options()
def doctor(
    method: Annotated[str, typer.Argument(help='Method expression, such as "drg() + dsr()".')] = "ce()",
    out: Annotated[Path, typer.Option(help="Folder that the run would write to.")] = Path("runs"),
    *,
    config: RunConfig,
) -> None:
    """Check a run without starting it: data, model, taps, heads, batches, memory, disk. Options as for train.

    Each check prints ok, a note, or what to change; the exit status is 1 if any check fails. Nothing is written.
    """
    from dataclasses import replace

    from selfdistill.cli.console import aligned
    from selfdistill.inspect.doctor import check

    found = check(replace(config, method=method), out)
    print(aligned([(_mark(each), each.check, each.words) for each in found]))
    if not all(each.ok for each in found):
        raise typer.Exit(1)


def _mark(finding: "Finding") -> str:
    if not finding.ok:
        return "change"
    return "note" if finding.remark else "ok"
