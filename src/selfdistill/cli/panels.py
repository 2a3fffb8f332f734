"""Help of a command with its options in groups, as plain text."""

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Any, Final, TypeAlias

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption
from typer.main import get_command

Parameter: TypeAlias = TyperArgument | TyperOption

ARGUMENTS, OTHER, RUN, EVALUATION, ENGINE = "Arguments", "Options", "Run", "Evaluation", "Engine"
ALL: Final = "selfdistill.help_all"  # the key of a context whose help describes all options
TEST: Final = ("crop_pct", "test_interpolation", "normalization")  # of the transform of test images
PANELS: Final = {  # of the fields of RunConfig, in the order of the help
    "Data": (
        *("data", "task", "limit", "validation", "test", "label_noise", "skip_unreadable", "size", "channels", "bits"),
        *("class_weights", "balanced"),
    ),
    "Augmentation": ("augment", "crop_scale", "flip", "jitter", "erase", "interpolation", *TEST),
    "Model": ("model", "pretrained", "weights", "classifier", "freeze", "unfreeze", "aux"),
    "Optimization": (
        *("recipe", "batch_size", "optimizer", "lr", "head_lr", "layer_decay", "momentum", "nesterov"),
        *("weight_decay", "decay_norms", "accumulate", "clip_norm", "balance", "sam"),
    ),
    "Schedule": ("epochs", "steps", "patience", "schedule", "milestones", "gamma", "warmup"),
    "Hardware": (
        *("accelerator", "precision", "memory", "devices", "nodes", "strategy", "sync_batchnorm"),
        *("compile", "compile_mode", "decode", "decode_workers"),
    ),
}

SCREEN: Final = 24  # the most options that --help describes one by one
SHORT: Final = 96  # characters of an option in a help of many
FREQUENT: Final = (  # the options that --help describes where a command has more
    *("methods", "seeds", "seed", "budget", "workers", "out", "data", "augment", "model", "weights", "recipe", "lr"),
    "epochs",
)


def panel_of(name: str) -> str | None:
    """Return the panel of a field of RunConfig.

    >>> panel_of("lr")
    'Optimization'
    """
    return next((panel for panel, names in PANELS.items() if name in names), None)


class PanelCommand(TyperCommand):
    """A command whose help lists its arguments, and then its options by panel.

    The help of a command with many options fits a screen: it describes the frequent ones and names the others, which
    `--help-all` describes. Typer's own panels are boxes of rich, which cost lines and the width of a terminal.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Add `--help-all` where `--help` only names some options."""
        super().__init__(*args, **settings)
        if len(self.params) > SCREEN:
            self.params += _declared(_help_all)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, in the order of the panels of fields; those of the command come first."""
        order = [ARGUMENTS, OTHER, RUN, EVALUATION, ENGINE, *PANELS]
        params = [each for each in self.get_params(ctx) if isinstance(each, Parameter)]
        whole = len(self.params) <= SCREEN or ctx.meta.get(ALL, False)
        shown = [(_title(each), each) for each in params if each.get_help_record(ctx) is not None]
        rows = sorted(shown, key=lambda row: order.index(row[0]))
        for title, group in groupby(rows, key=lambda row: row[0]):
            with formatter.section(title):
                _write_panel(ctx, formatter, [each for _, each in group], whole)


def _write_panel(ctx: typer.Context, formatter: Any, options: Sequence[Parameter], whole: bool) -> None:
    full = [each for each in options if whole or each.name in FREQUENT or _title(each) in (ARGUMENTS, OTHER)]
    if full:
        formatter.write_dl([_record(each, ctx, whole) for each in full])
    if others := [each.opts[0] for each in options if each not in full]:
        indent = " " * formatter.current_indent
        formatter.write(f"{_wrapped(' '.join(['and', *others] if full else others), formatter.width, indent)}\n")


def _record(option: Parameter, ctx: typer.Context, whole: bool) -> tuple[str, str]:
    """Return the names of an option and its help, of which a short one has the start of the first clause."""
    names, text = option.get_help_record(ctx) or ("", "")
    clause = text.partition("  [")[0].partition("; ")[0].rstrip(".")
    return names, text if whole else textwrap.shorten(clause, SHORT, placeholder=" …")


def _wrapped(words: str, width: int, indent: str) -> str:
    return textwrap.fill(words, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _show_all(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.meta[ALL] = True
        print(context.get_help())
        raise typer.Exit


def _help_all(
    help_all: Annotated[
        bool,
        typer.Option(
            "--help-all",
            is_eager=True,
            callback=_show_all,
            help="Show this message with all options described, and exit.",
            rich_help_panel=OTHER,
        ),
    ] = False,
) -> None:
    """Declare the option of the complete help."""


def _declared(function: Callable[..., None]) -> list[TyperOption]:
    """Return the options that a function declares, whose values the command does not get."""
    application = typer.Typer(add_completion=False)
    application.command()(function)
    options = [each for each in get_command(application).params if isinstance(each, TyperOption)]
    for each in options:
        each.expose_value = False
    return options


def _title(parameter: Parameter) -> str:
    if parameter.param_type_name == "argument":
        return ARGUMENTS
    return (parameter.rich_help_panel if isinstance(parameter, TyperOption) else None) or OTHER
