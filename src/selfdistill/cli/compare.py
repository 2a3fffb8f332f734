"""`selfdistill compare`: methods side by side over seeds."""

from pathlib import Path
from typing import Annotated

import typer

from selfdistill.cli.options import (
    Accelerator,
    BatchSize,
    Classifier,
    Data,
    Decay,
    DecayNorms,
    Epochs,
    Gamma,
    Limit,
    Milestones,
    Model,
    Momentum,
    Precision,
    Pretrained,
    Rate,
    Schedule,
    Size,
    Validation,
    Warmup,
    Weights,
    shares,
)

DEFAULT = ("ce()", "label_smoothing()", "scd()", "drg()", "dsr()", "lightskd()", "csd()", "stkd()")


def compare(
    methods: Annotated[
        list[str] | None,
        typer.Option(help='Method expressions, as in --methods "ce()" "drg() + dsr()"; or all.'),
    ] = None,
    data: Data = "digits",
    model: Model = "resnet8",
    epochs: Epochs = 20,
    batch_size: BatchSize = 64,
    seeds: Annotated[int, typer.Option(help="Runs of each method, of seeds 0, 1, 2 …")] = 3,
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/compare"),
    lr: Rate = 0.1,
    momentum: Momentum = 0.9,
    weight_decay: Decay = 5e-4,
    decay_norms: DecayNorms = True,
    schedule: Schedule = "cosine",
    milestones: Milestones = "0.5,0.75",
    gamma: Gamma = 0.1,
    warmup: Warmup = 0,
    limit: Limit = None,
    validation: Validation = 0.0,
    size: Size = None,
    pretrained: Pretrained = False,
    weights: Weights = None,
    classifier: Classifier = None,
    accelerator: Accelerator = "auto",
    precision: Precision = "32",
    resume: Annotated[bool, typer.Option("--resume", help="Go on; the same command does so anyway.")] = False,
) -> None:
    """Compare methods: train each with every seed and print a table.

    Finished runs are not trained again and interrupted ones go on, so repeating the command is safe and quick.
    A teacher that a method asks for without naming one is trained first and kept.
    """
    from selfdistill.cli.show import console, errors, show_table
    from selfdistill.errors import UserError
    from selfdistill.methods import REGISTRY
    from selfdistill.study import compare as run_all
    from selfdistill.study.table import footer, header, markdown, rows
    from selfdistill.train import RunConfig
    from selfdistill.train.display import display_for
    from selfdistill.train.files import write_whole

    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, but is {seeds}")
    asked = list(methods or DEFAULT)
    if asked == ["all"]:
        asked = [f"{name}()" for name in REGISTRY]
    base = RunConfig(
        method="ce()",
        data=data,
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        decay_norms=decay_norms,
        schedule=schedule,  # type: ignore[arg-type]  # checked by RunConfig
        milestones=shares(milestones),
        gamma=gamma,
        warmup=warmup,
        limit=limit,
        validation=validation,
        size=size,
        pretrained=pretrained,
        weights=str(weights) if weights else None,
        classifier=classifier,
        accelerator=accelerator,  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
    )
    study = run_all(asked, base, range(seeds), out, display=display_for(console))
    if study.results:
        print()
        show_table(header(study), rows(study))
        print("\n" + "\n".join(footer(study)))
        write_whole(out / "table.md", lambda beside: beside.write_text(markdown(study)))
    for method, error in study.errors.items():
        errors.print(f"selfdistill: {method} failed: {error}", soft_wrap=True, markup=False)
    if study.errors:
        raise typer.Exit(1)
