"""Options that several commands share, each with its unit and default, and the configuration they make."""

from pathlib import Path
from typing import Annotated

import typer

DATA_HELP = "Images: digits, cifar10, cifar100, svhn, fashion-mnist, parquet:PATH, folder:PATH, hub:ORG/NAME or fake."
MODEL_HELP = "Network: resnet8, resnet20 … wrn-40-2, vgg8, mobilenetv2, shufflenetv2, timm/NAME or torchvision/NAME."

Data = Annotated[str, typer.Option(help=DATA_HELP)]
Model = Annotated[str, typer.Option(help=MODEL_HELP)]
Epochs = Annotated[int, typer.Option(help="Passes over the training images.")]
BatchSize = Annotated[int, typer.Option(help="Images a step.")]
Rate = Annotated[float, typer.Option("--lr", help="Learning rate at its peak.")]
Momentum = Annotated[float, typer.Option(help="SGD's momentum, from 0 to below 1.")]
Decay = Annotated[float, typer.Option("--weight-decay", help="Weight decay (L2).")]
DecayNorms = Annotated[bool, typer.Option(help="Weight decay on norms and biases too.")]
Schedule = Annotated[str, typer.Option(help="cosine, or step: lowered at --milestones.")]
Milestones = Annotated[str, typer.Option(help="Shares of the run at which step lowers the rate.")]
Gamma = Annotated[float, typer.Option(help="What step multiplies the rate with.")]
Warmup = Annotated[int, typer.Option(help="Epochs over which the rate grows.")]
Limit = Annotated[int | None, typer.Option(help="Training images to keep, stratified; default: all.")]
Validation = Annotated[float, typer.Option(help="Share of the training images held out for choices.")]
Size = Annotated[int | None, typer.Option(help="Pixels of a side to resize to; default: the data's own.")]
Pretrained = Annotated[bool, typer.Option("--pretrained", help="Start from the library's weights, with a new head.")]
Weights = Annotated[Path | None, typer.Option(help="Start from the weights in this file.")]
Classifier = Annotated[str | None, typer.Option(help="Path of the module that makes the logits, if not found.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu, gpu or mps.")]
Precision = Annotated[str, typer.Option(help="Of the passes: 32 or bf16.")]
Seed = Annotated[int, typer.Option(help="Of every random draw.")]


def shares(text: str) -> tuple[float, ...]:
    """Read "0.5,0.75"; raises `UserError`."""
    from selfdistill.errors import UserError

    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise UserError(f"--milestones are shares of the run such as 0.5,0.75, but found {text!r}") from None
