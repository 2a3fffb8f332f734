"""`selfdistill bench`: what methods cost."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.options import BatchSize, Classifier, Data, Limit, Model, Size

DEFAULT = ("dsr()", "csd()", "scd()", "sad()", "drg()", "drg(head='gated')", "cs_kd()", "ddgsd()", "byot()", "kd()")


def bench(
    methods: Annotated[
        list[str] | None,
        typer.Option(help='Method expressions, as in --methods "drg()" "drg() + dsr()"; or all.'),
    ] = None,
    data: Data = "fake:classes=100,train=2048,test=100",
    model: Model = "resnet20",
    batch_size: BatchSize = 128,
    limit: Limit = None,
    size: Size = None,
    classifier: Classifier = None,
    rounds: Annotated[int, typer.Option(help="How often every method has its turn.")] = 20,
    steps: Annotated[int, typer.Option(help="Steps of a turn.")] = 1,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: torch's own choice.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of the passes: 32 or bf16.")] = "32",
    out: Annotated[Path | None, typer.Option(help="JSON file for the numbers.")] = None,
) -> None:
    """Measure what methods cost beside cross-entropy: time, memory and arithmetic of a training step.

    Every method makes its steps in every round, so that what else the machine does meets all alike. Cross-entropy
    takes part twice: where its two rows differ, so much is noise. Teachers are untrained stand-ins.
    """
    import torch

    from selfdistill.bench.rounds import race
    from selfdistill.bench.table import HEADER, footer, rows
    from selfdistill.cli.show import console, show_table
    from selfdistill.methods import REGISTRY
    from selfdistill.train.config import RunConfig
    from selfdistill.train.run import load_data

    torch.set_num_threads(threads or torch.get_num_threads())
    asked = [f"{name}()" for name in REGISTRY] if methods == ["all"] else methods or DEFAULT
    base = RunConfig(
        "ce()",
        data=data,
        model=model,
        batch_size=batch_size,
        limit=limit,
        size=size,
        classifier=classifier,
        accelerator=accelerator,  # type: ignore[arg-type]  # RunConfig checks what was typed
        precision=precision,  # type: ignore[arg-type]
    )
    with console.status("") as status:
        costs = race(
            asked,
            base,
            load_data(base),
            rounds=rounds,
            steps=steps,
            tell=lambda number: status.update(f"round {number} of {rounds}"),
        )
    where = f"{data}, {model}, batches of {batch_size}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    show_table(HEADER, rows(costs))
    print("\n" + "\n".join(footer(rounds, steps, where)))
    if out:
        _write(out, {"of": where, "rounds": rounds, "steps": steps}, costs)


def _write(path: Path, facts: dict[str, Any], costs: list[Any]) -> None:
    from dataclasses import asdict

    from selfdistill.train.files import write_json

    write_json(path, {**facts, "costs": [asdict(each) for each in costs]})
