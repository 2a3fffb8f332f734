"""Options of a run's configuration, derived from `RunConfig` and shared by the commands that train."""

import functools
import inspect
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, cast, get_args, get_origin, get_type_hints

import typer

from selfdistill.cli.panels import RUN, panel_of
from selfdistill.data.augment_recipe import CHOICES as AUGMENTS
from selfdistill.data.sources import SOURCES
from selfdistill.errors import UserError
from selfdistill.recipes.recipe import RECIPES, read_recipe
from selfdistill.train.config import RunConfig

Command = Callable[..., None]
CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
MODEL_HELP = (
    "Model: resnet8, resnet20 … wrn-40-2, vgg8, mobilenetv2, unet, timm/NAME, torchvision/NAME, transformers/NAME, or "
    "MODULE:CALLABLE of your own."
)
CLASSIFIER_HELP = "Path of the module that computes the logits; default: found by tracing."
Model = Annotated[str, typer.Option(help=MODEL_HELP)]
Methods = Annotated[
    list[str] | None,
    typer.Option(help='Method expressions, such as --methods "ce()" "drg() + dsr()"; or all.', rich_help_panel=RUN),
]
Classifier = Annotated[str | None, typer.Option(help=CLASSIFIER_HELP)]
Modules = Annotated[
    list[str] | None,
    typer.Option(help="Modules of your own from which the runs' methods and models may be imported; default: none."),
]
Folds = Annotated[
    int | None,
    typer.Option(
        help="Parts of the training images, of which each is the test set once, where the data have none.",
        rich_help_panel=panel_of("test"),
    ),
]
HELP = {  # by field of RunConfig, the source of type, {choices} and default
    "data": f"Data set: {', '.join(each.usage.partition('[')[0] for each in SOURCES.values())}.",
    "task": "What has a class: {choices}; auto is by the data: an image, a pixel, or a tag of an image.",
    "model": MODEL_HELP,
    "recipe": "Recipe of values, which other options replace: {choices}.",
    "epochs": "Training epochs, such as 20 or 0.5.",
    "steps": "Optimizer steps, in place of --epochs; default: by the epochs.",
    "patience": "Epochs without a better validation score after which training stops; the best epoch is the student.",
    "batch_size": "Batch size (images per optimizer step), over all processes.",
    "optimizer": "Optimizer: sgd, or a name of timm, such as adamw, lamb, lion or muon.",
    "lr": "Peak learning rate.",
    "head_lr": "Peak learning rate of the heads that only training has; default: --lr.",
    "layer_decay": "Factor of the learning rate from each layer of the student to the one before it; default: 1.",
    "momentum": "Momentum of sgd and of other optimizers that have one, from 0 to below 1.",
    "nesterov": "Nesterov momentum.",
    "weight_decay": "Weight decay (L2).",
    "decay_norms": "Apply weight decay to normalization layers and biases too.",
    "schedule": "Learning rate schedule: {choices}; step lowers the rate at --milestones, linear and cosine end at 0.",
    "milestones": "Fractions of the run at which the step schedule lowers the learning rate.",
    "gamma": "Factor by which the step schedule lowers the learning rate.",
    "warmup": "Epochs of linear learning rate warmup.",
    "limit": "Training images to keep, as a stratified subset; default: all.",
    "validation": "Fraction of the training images held out for validation.",
    "test": "Fraction of the training images for the test set of data without one; the same for all seeds.",
    "label_noise": "Fraction of the training labels replaced by wrong ones.",
    "class_weights": "Weights of classes in losses of labels: auto (inverse frequency), or a JSON or CSV file.",
    "balanced": "Draw every class equally often in each epoch.",
    "skip_unreadable": "Skip images that cannot be read, and record their names in run.json.",
    "size": "Image size in pixels per side, by resizing; default: the data set's own.",
    "channels": "Channels of image files: 1 (luminance), 3, 4 (with alpha) or all; default: 3. Arrays have their own.",
    "bits": "Bits of a channel of image files: 8 or 16. Arrays have their own.",
    "augment": f"Augmentation: {AUGMENTS}; auto is crop and flip of the padded image.",
    "crop_scale": "Smallest and largest area of random resized crops, such as 0.08,1; default: the recipe's.",
    "flip": "Random horizontal flips; default: unless the data forbid them.",
    "jitter": "Largest change of brightness, contrast and saturation, from 0 to 1; default: the recipe's.",
    "erase": "Probability of random erasing; default: the recipe's.",
    "interpolation": "Interpolation of random resized crops: bilinear or bicubic; default: bicubic.",
    "crop_pct": "Center crop of test images, a share of the shorter side; default: of trained weights, else 1.",
    "test_interpolation": "Interpolation of test images: bilinear or bicubic; default: of trained weights.",
    "normalization": "Mean and deviation of pixels: {choices}; auto is those of trained weights, if any.",
    "decode_workers": "Threads that read random resized crops of files, 0 for none; default: one for each processor.",
    "pretrained": "Start from the pretrained weights of timm or torchvision, with a new classifier.",
    "weights": "File of weights to start from.",
    "classifier": CLASSIFIER_HELP,
    "freeze": 'Layers that are not trained: paths separated by commas, or "all but the classifier".',
    "unfreeze": "Epochs after which frozen layers train too; default: never.",
    "aux": "Weight of a network's auxiliary logits in training; 0 freezes their heads.",
    "accelerator": "Hardware to train on: {choices}.",
    "decode": "Decoding of image files: {choices}; auto is once if all images fit into memory, else stream.",
    "memory": "Tables that methods keep of each training image: full, half, mapped, top:K, or several, as half,mapped.",
    "precision": "Mixed precision: {choices}.",
    "devices": "Devices per machine, with one process each.",
    "nodes": "Machines; start the command on each, with torchrun or Slurm.",
    "strategy": "Parallel strategy: {choices}; fsdp shards the weights over the processes.",
    "sync_batchnorm": "Synchronize batch normalization statistics over all processes.",
    "accumulate": "Gradient accumulation steps.",
    "clip_norm": "Clip the gradient norm (default: off).",
    "balance": "Share of the task's gradient that each term gets, by a weight set after the first epoch, such as 0.3; "
    "default: the method's own weights.",
    "sam": "Radius of sharpness-aware minimization, about 0.05; a step then costs two. Default: off.",
    "compile": "Compile the training step with torch.compile.",
    "compile_mode": "Mode of torch.compile: {choices}; reduce-overhead records CUDA graphs.",
}


def run_options(*names: str, **defaults: object) -> Callable[[Command], Command]:
    """Add the options of these fields of `RunConfig`, or of all in `HELP`, to a command.

    The command receives them as `config`, a `RunConfig` of the method ce(). `defaults` replace RunConfig's own.
    """
    chosen = names or tuple(HELP)
    usual = {field.name: field.default for field in fields(RunConfig)} | defaults

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(**values: object) -> None:
            context = cast(typer.Context, values.pop("context"))
            options = {name: values.pop(name) for name in chosen}
            command(**values, config=_configuration(options, context))

        own = [each for each in inspect.signature(command).parameters.values() if each.name != "config"]
        parameters = [*own, *(_parameter(name, usual[name]) for name in chosen), CONTEXT]
        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
        return wrapped

    return decorate


def option_type(name: str) -> tuple[object, str]:
    """Return the type of a field's option as typer reads it, and its help with the choices that the field allows."""
    kind = get_type_hints(RunConfig)[name]
    if name == "recipe":
        return str | None, HELP[name].format(choices=in_words(RECIPES))
    if get_origin(kind) is Literal:
        return str, HELP[name].format(choices=in_words(get_args(kind)))
    if get_origin(kind) is tuple:
        return str, HELP[name]
    if name in ("crop_scale", "interpolation", "test_interpolation"):
        return str | None, HELP[name]
    return (Path | None if name == "weights" else kind), HELP[name]


def in_words(choices: Sequence[str]) -> str:
    """Join choices: "a, b or c"."""
    return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]


def method_expressions(methods: Sequence[str] | None, default: Sequence[str]) -> Sequence[str]:
    """Return the expressions of --methods; for `all`, one of each method."""
    from selfdistill.cli.method_source import method_names

    return [f"{name}()" for name in method_names()] if methods == ["all"] else methods or default


def parse_numbers(text: str, meaning: str, example: str) -> tuple[float, ...]:
    """Parse "0.5,0.75". Raises `UserError` with the meaning of the numbers and an example."""
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise UserError(f"{meaning}; write them as {example}, but found {text!r}") from None


def _parameter(name: str, default: object) -> inspect.Parameter:
    kind, text = option_type(name)
    flag = [f"--{name.replace('_', '-')}"] if kind is bool and default is False else []  # without --no-NAME
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    option = Annotated[kind, typer.Option(*flag, help=text, rich_help_panel=panel_of(name))]  # type: ignore[valid-type]  # a type made at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=shown, annotation=option)


def _configuration(options: dict[str, object], context: typer.Context) -> RunConfig:
    """Make the configuration of the method ce(); with a recipe, only options that were typed replace its values."""
    name, values = options.get("recipe"), dict(_to_fields(options))
    if name is None:
        return RunConfig.from_json({"method": "ce()", **values})
    given = {key: value for key, value in values.items() if key != "recipe" and _typed(key, context)}
    config = RunConfig.from_recipe(str(name), "ce()", **given)
    print(f"recipe {name}: {', '.join(_in_words(config, key, given) for key in read_recipe(str(name)).values)}")
    return config


def _typed(name: str, context: typer.Context) -> bool:
    """Return True for an option that was typed, even at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _in_words(config: RunConfig, name: str, given: Container[str]) -> str:
    value = getattr(config, name)
    shown = ",".join(f"{each:.4g}" for each in value) if isinstance(value, tuple) else value
    return f"{name.replace('_', ' ')} {shown}{' (as given)' if name in given else ''}"


def _to_fields(options: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Convert the values that typer reads to those of RunConfig's fields."""
    for name, value in options.items():
        if name == "milestones":
            yield name, parse_numbers(str(value), "--milestones are fractions of the run", "0.5,0.75")
        elif name == "crop_scale" and value is not None:
            yield name, parse_numbers(str(value), "--crop-scale is two areas", "0.08,1")
        else:
            yield name, str(value) if isinstance(value, Path) else value
