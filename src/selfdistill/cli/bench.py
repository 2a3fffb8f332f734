"""`selfdistill bench`: what methods cost."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.options import Methods, configured, expressions

DEFAULT = ("dsr()", "csd()", "scd()", "sad()", "drg()", "drg(head='gated')", "cs_kd()", "ddgsd()", "byot()", "kd()")
OPTIONS = ("data", "model", "batch_size", "limit", "size", "classifier", "accelerator", "precision")


@configured(*OPTIONS, data="fake:classes=100,train=2048,test=100", model="resnet20", batch_size=128)
def bench(
    methods: Methods = None,
    rounds: Annotated[int, typer.Option(help="How often every method has its turn.")] = 20,
    steps: Annotated[int, typer.Option(help="Steps of a turn.")] = 1,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: torch's own choice.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the numbers.")] = None,
    *,
    recipe: dict[str, Any],
) -> None:
    """Measure what methods cost beside cross-entropy: time, memory and arithmetic of a training step.

    Every method makes its steps in every round, so that what else the machine does meets all alike. Cross-entropy
    takes part twice: where its two rows differ, so much is noise. Teachers are untrained stand-ins.
    """
    import torch

    from selfdistill.bench.rounds import run_rounds
    from selfdistill.cli.console import console
    from selfdistill.train.config import RunConfig
    from selfdistill.train.run import load_data

    torch.set_num_threads(threads or torch.get_num_threads())
    base = RunConfig("ce()", **recipe)
    with console.status("") as status:

        def tell(number: int) -> None:
            status.update(f"round {number} of {rounds}")

        costs = run_rounds(expressions(methods, DEFAULT), base, load_data(base), rounds=rounds, steps=steps, tell=tell)
    where = f"{base.data}, {base.model}, batches of {base.batch_size}"
    where += f", {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    _show(costs, rounds, steps, where)
    if out:
        _write(out, {"of": where, "rounds": rounds, "steps": steps}, costs)


def _show(costs: list[Any], rounds: int, steps: int, where: str) -> None:
    from selfdistill.bench.table import HEADER, footer, rows
    from selfdistill.cli.console import show_table

    show_table(HEADER, rows(costs))
    print("\n" + "\n".join(footer(rounds, steps, where)))


def _write(path: Path, facts: dict[str, Any], costs: list[Any]) -> None:
    from dataclasses import asdict

    from selfdistill.files import write_json

    write_json(path, {**facts, "costs": [asdict(each) for each in costs]})
