"""The options that make a run's configuration, shared by the commands that train."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig

Command = Callable[..., None]
Model = Annotated[
    str, typer.Option(help="resnet8, resnet20 … wrn-40-2, vgg8, mobilenetv2, timm/NAME or torchvision/NAME.")
]
Methods = Annotated[
    list[str] | None, typer.Option(help='Method expressions, as in --methods "ce()" "drg() + dsr()"; or all.')
]
Classifier = Annotated[str | None, typer.Option(help="Path of the module that makes the logits, if not found.")]

SHARED: dict[str, Any] = {  # by the field of RunConfig, whose defaults they have
    "data": Annotated[
        str,
        typer.Option(
            help="digits, cifar10, cifar100, svhn, fashion-mnist, parquet:PATH, folder:PATH, hub:ORG/NAME, fake."
        ),
    ],
    "model": Model,
    "epochs": Annotated[int, typer.Option(help="Passes over the training images.")],
    "batch_size": Annotated[int, typer.Option(help="Images a step, over all processes and parts.")],
    "lr": Annotated[float, typer.Option(help="Learning rate at its peak.")],
    "momentum": Annotated[float, typer.Option(help="SGD's momentum, from 0 to below 1.")],
    "nesterov": Annotated[bool, typer.Option(help="Nesterov's momentum.")],
    "weight_decay": Annotated[float, typer.Option(help="Weight decay (L2).")],
    "decay_norms": Annotated[bool, typer.Option(help="Weight decay on norms and biases too.")],
    "schedule": Annotated[str, typer.Option(help="cosine, or step: lowered at --milestones.")],
    "milestones": Annotated[str, typer.Option(help="Shares of the run at which step lowers the rate.")],
    "gamma": Annotated[float, typer.Option(help="What step multiplies the rate with.")],
    "warmup": Annotated[int, typer.Option(help="Epochs over which the rate grows.")],
    "limit": Annotated[int | None, typer.Option(help="Training images to keep, stratified; default: all.")],
    "validation": Annotated[float, typer.Option(help="Share of the training images held out for choices.")],
    "label_noise": Annotated[float, typer.Option(help="Share of the training labels made wrong.")],
    "size": Annotated[int | None, typer.Option(help="Pixels of a side to resize to; default: the data's own.")],
    "pretrained": Annotated[
        bool, typer.Option("--pretrained", help="Start from the library's weights, with a new head.")
    ],
    "weights": Annotated[Path | None, typer.Option(help="Start from the weights in this file.")],
    "classifier": Classifier,
    "accelerator": Annotated[str, typer.Option(help="auto, cpu, gpu, cuda or mps.")],
    "decode": Annotated[
        str, typer.Option(help="Image files: once, stream (as needed), or auto: once where memory holds all.")
    ],
    "precision": Annotated[str, typer.Option(help="Of the passes: 32, bf16 or 16.")],
    "devices": Annotated[int, typer.Option(help="Devices of a machine, with a process each.")],
    "nodes": Annotated[int, typer.Option(help="Machines; start the command on each, by torchrun or Slurm.")],
    "strategy": Annotated[
        str, typer.Option(help="How processes share the work: auto, ddp, or fsdp: each holds a part of the weights.")
    ],
    "sync_batchnorm": Annotated[bool, typer.Option("--sync-batchnorm", help="Batch statistics over all GPUs.")],
    "accumulate": Annotated[int, typer.Option(help="Parts of a batch passed one after the other, to save memory.")],
    "clip_norm": Annotated[float | None, typer.Option(help="Cut the gradient to this norm; default: not.")],
    "compile": Annotated[bool, typer.Option("--compile", help="Compile the step with torch.compile.")],
}


def configured(*names: str, **defaults: Any) -> Callable[[Command], Command]:
    """Give a command the shared options of these names, or all; it gets them as `recipe`, what RunConfig is made of.

    The defaults are RunConfig's but for those that are given.
    """
    kinds = {name: kind for name, kind in SHARED.items() if not names or name in names}
    usual = {field.name: field.default for field in fields(RunConfig)} | defaults

    def give(command: Command) -> Command:
        @functools.wraps(command)
        def taking(**words: Any) -> None:
            recipe = {name: words.pop(name) for name in kinds}
            command(**words, recipe=_read(recipe))

        own = [each for each in inspect.signature(command).parameters.values() if each.name != "recipe"]
        parameters = [*own, *(_parameter(name, kind, usual[name]) for name, kind in kinds.items())]
        taking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        taking.__annotations__ = {each.name: each.annotation for each in parameters}
        return taking

    return give


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=shown, annotation=kind)


def _read(recipe: dict[str, Any]) -> dict[str, Any]:
    """The options as RunConfig's fields."""
    read = {"weights": lambda path: str(path) if path else None, "milestones": shares}
    return {name: read[name](value) if name in read else value for name, value in recipe.items()}


def expressions(asked: Sequence[str] | None, default: Sequence[str]) -> Sequence[str]:
    """The methods of --methods: every one for `all`."""
    from selfdistill.methods import REGISTRY

    return [f"{name}()" for name in REGISTRY] if asked == ["all"] else asked or default


def shares(text: str) -> tuple[float, ...]:
    """Read "0.5,0.75"; raises `UserError`."""
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise UserError(f"--milestones are shares of the run such as 0.5,0.75, but found {text!r}") from None
