"""`selfdistill bench`: cost of methods per training step."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.options import Methods, method_expressions, run_options
from selfdistill.train.config import RunConfig

if TYPE_CHECKING:
    from selfdistill.bench.rounds import Cost

DEFAULT = ("dsr()", "csd()", "scd()", "sad()", "drg()", "drg(head='gated')", "cs_kd()", "ddgsd()", "byot()", "kd()")
OPTIONS = (
    *("data", "task", "model", "batch_size", "limit", "size", "test", "skip_unreadable", "classifier", "aux"),
    *("accelerator", "precision", "compile", "compile_mode"),
)


@run_options(*OPTIONS, data="fake:classes=100,train=2048,test=100", model="resnet20", batch_size=128)
def bench(
    methods: Methods = None,
    rounds: Annotated[int, typer.Option(help="Rounds; each measures every method once.")] = 20,
    steps: Annotated[int, typer.Option(help="Training steps per method and round.")] = 1,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: as torch chooses.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the numbers to.")] = None,
    *,
    config: RunConfig,
) -> None:
    """Benchmark methods against cross-entropy: time, memory and FLOPs of a training step.

    Each round measures every method, so that other load on the machine affects all methods equally. Cross-entropy
    is measured twice: the difference between its two rows is noise. Teachers are untrained networks. With --compile,
    eager steps are measured too: the time to compile, and the step from which it pays.
    """
    import torch

    from selfdistill.bench.rounds import run_rounds
    from selfdistill.cli.console import console
    from selfdistill.train.run import load_data

    torch.set_num_threads(threads or torch.get_num_threads())
    with console.status("") as status:

        def on_round(number: int) -> None:
            status.update(f"round {number} of {rounds}")

        costs = run_rounds(
            method_expressions(methods, DEFAULT),
            config,
            load_data(config),
            rounds=rounds,
            steps=steps,
            on_round=on_round,
        )
    where = f"{config.data}, {config.model}, batches of {config.batch_size}"
    where += f", {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    if config.compile:
        where += f", compiled ({config.compile_mode})"
    _show(costs, rounds, steps, where)
    if out:
        _write(out, {"of": where, "rounds": rounds, "steps": steps}, costs)


def _show(costs: "list[Cost]", rounds: int, steps: int, where: str) -> None:
    from selfdistill.bench.rounds import FLOOR
    from selfdistill.bench.table import HEADER, compilations, footer, rows
    from selfdistill.cli.console import show_table

    show_table(HEADER, rows(costs))
    compiled = compilations(each for each in costs if each.method != FLOOR)
    print("\n" + "\n".join([*compiled, *footer(rounds, steps, where)]))


def _write(path: Path, facts: dict[str, object], costs: "list[Cost]") -> None:
    from dataclasses import asdict

    from selfdistill.files import write_json

    write_json(path, {**facts, "costs": [asdict(each) for each in costs]})
