"""`selfdistill reproduce`: published tables against own runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.engine_options import Address, Engine, Threads, Workers, engine_and_listener

if TYPE_CHECKING:
    from selfdistill.study.papers.published import Published
    from selfdistill.study.reproduce import Line
    from selfdistill.study.study import Study

HEADER = ("model", "method", "metric", "expected", "ours", "verdict")


def reproduce(
    name: Annotated[str | None, typer.Argument(help="Published table; without a name, all tables are listed.")] = None,
    scale: Annotated[float, typer.Option(help="Fraction of the epochs and images to train with.")] = 1.0,
    seeds: Annotated[int, typer.Option(help="Number of seeds (0, 1, 2 …) per cell.")] = 3,
    models: Annotated[list[str] | None, typer.Option(help="Subset of the table's models; default: all.")] = None,
    data: Annotated[str | None, typer.Option(help="Other source of the same images, such as parquet:PATH.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/reproduce-NAME.")] = None,
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
) -> None:
    """Reproduce a published table: expected value, own value and verdict per cell, and the cells that are missing."""
    from selfdistill.errors import UserError
    from selfdistill.study.reproduce import published
    from selfdistill.study.reproduce import reproduce as make

    if name is None:
        list_tables()
        return
    table = published(name)
    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, but is {seeds}")
    folder = out or Path("runs") / f"reproduce-{name}{f'-scale{scale:g}' if scale != 1 else ''}"
    where = engine_and_listener(engine, workers, threads, address)
    lines, studies = make(table, folder, scale=scale, seeds=range(seeds), data=data, models=models or (), **where)
    show(table, lines, studies, folder)


def list_tables() -> None:
    """Print the published tables that can be reproduced."""
    from selfdistill.cli.console import aligned
    from selfdistill.study.papers import PAPERS

    print(aligned([(name, f"{len(each.cells)} cells", each.title) for name, each in PAPERS.items()]))


def show(table: "Published", lines: "Sequence[Line]", studies: "Sequence[Study]", folder: Path) -> None:
    """Print the cells, their source and the missing cells; exit status 1 if a run failed."""
    from selfdistill.cli.console import report_failures, show_table

    print()
    show_table(HEADER, [_cells(line) for line in lines])
    print("\n" + "\n".join(_footer(table, lines, studies, folder)))
    report_failures(studies)


def _cells(line: "Line") -> tuple[str, ...]:
    cell, ours = line.cell, line.ours
    return (
        cell.model,
        cell.method,
        cell.metric,
        _mean(cell.expected, cell.std),
        _mean(ours.mean, ours.std) if ours else "",
        line.verdict,
    )


def _footer(table: "Published", lines: "Sequence[Line]", studies: "Sequence[Study]", folder: Path) -> list[str]:
    from selfdistill.study.reproduce import SCALED

    base, seeds = studies[0].base, len(studies[0].seeds)
    images = f", {base.limit:,} of {table.images:,} images" if base.limit else ""
    recipe = f"ours: the last epoch of {base.epochs}, mean ± standard deviation of {seeds} seed(s){images}."
    return [
        f"{table.title}: {table.source}.",
        f"expected: as reported, {table.reported}.",
        f"{recipe} {SCALED.capitalize()}." if lines and lines[0].scaled else recipe,
        "verdict: agrees if the expected number lies in the 95 % prediction interval of our seeds.",
        *(f"differs: {each}." for each in table.differs),
        *(f"missing: {each.what}: {each.why}." for each in table.missing),
        f"runs: {folder}",
    ]


def _mean(mean: float, std: float | None) -> str:
    return f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")
