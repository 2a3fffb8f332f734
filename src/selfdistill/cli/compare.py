"""`selfdistill compare`: methods side by side over seeds."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.options import configured

DEFAULT = ("ce()", "label_smoothing()", "scd()", "drg()", "dsr()", "lightskd()", "csd()", "stkd()")


@configured
def compare(
    methods: Annotated[
        list[str] | None,
        typer.Option(help='Method expressions, as in --methods "ce()" "drg() + dsr()"; or all.'),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each method, of seeds 0, 1, 2 …")] = 3,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; default: runs/DATA-MODEL-EPOCHS.")] = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="Add each method's heads and passes without its distillation.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; the same command does so anyway.")] = False,
    *,
    recipe: dict[str, Any],
) -> None:
    """Compare methods: train each with every seed and print a table.

    Finished runs are not trained again and interrupted ones go on, so repeating the command is safe and quick.
    A teacher that a method asks for without naming one is trained first and kept.
    """
    from selfdistill.cli.show import console
    from selfdistill.errors import UserError
    from selfdistill.methods import REGISTRY
    from selfdistill.study import compare as run_all
    from selfdistill.study.compare import usual_folder, with_controls
    from selfdistill.train.config import RunConfig
    from selfdistill.train.display import display_for

    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, but is {seeds}")
    asked = [f"{name}()" for name in REGISTRY] if methods == ["all"] else methods or DEFAULT
    asked = with_controls(asked) if controls else asked
    base = RunConfig("ce()", **recipe)
    show(run_all(asked, base, range(seeds), out or usual_folder(base), display=display_for(console)))


def show(study: Any) -> None:
    """Print a study's table and what failed; exit status 1 where something did."""
    from selfdistill.cli.show import errors, show_table
    from selfdistill.study.table import footer, header, markdown, rows
    from selfdistill.train.files import write_whole

    if study.results:
        print()
        show_table(header(study), rows(study))
        print("\n" + "\n".join(footer(study)))
        write_whole(study.folder / "table.md", lambda beside: beside.write_text(markdown(study)))
    for method, error in study.errors.items():
        errors.print(f"selfdistill: {method} failed: {error}", soft_wrap=True, markup=False)
    if study.errors:
        raise typer.Exit(1)
