"""`selfdistill train`: one run."""

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
    Seed,
    Size,
    Validation,
    Warmup,
    Weights,
    shares,
)


def train(
    method: Annotated[str, typer.Argument(help='Method expression, as in "drg(alpha=0.2) + dsr()".')],
    data: Data = "digits",
    model: Model = "resnet8",
    epochs: Epochs = 20,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/METHOD-DATA-MODEL-SEED.")] = None,
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> None:
    """Train one model by one method; its folder holds all there is to know of it."""
    import re

    from selfdistill.cli.show import aligned, console
    from selfdistill.train import RunConfig, run
    from selfdistill.train.display import display_for

    config = RunConfig(
        method=method,
        data=data,
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
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
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{method}-{data}-{model}-{seed}").strip("-")
    folder = out or Path("runs") / words
    result = run(config, folder, resume=resume, display=display_for(console))
    shown = ("top1", "top5", "nll", "ece", "parameters", "added_parameters", "step_ms")
    print(
        aligned(
            [
                (key, f"{result[key]:.4g}" if isinstance(result[key], float) else f"{result[key]:,}")
                for key in shown
                if key in result
            ]
        )
    )
    print(f"run: {folder}")
