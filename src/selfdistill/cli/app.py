"""The command-line application: subcommands, exit status and error messages."""

import os
import sys
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from selfdistill import __version__
from selfdistill.cli import (
    bench,
    compare,
    doctor,
    evaluate,
    inspect,
    log,
    methods,
    report,
    reproduce,
    study,
    train,
    tune,
)
from selfdistill.cli.panels import PanelCommand
from selfdistill.errors import Interrupted, UserError

app = typer.Typer(
    help="Train classifiers with self-knowledge distillation, and compare methods.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
TRAIN_COMMANDS = (compare.compare, tune.tune, study.study, reproduce.reproduce, train.train)
OTHER_COMMANDS = (
    report.report,
    log.log,
    evaluate.evaluate,
    evaluate.export,
    evaluate.predict,
    inspect.plan,
    inspect.taps,
    bench.bench,
    doctor.doctor,
)
for command in (*TRAIN_COMMANDS, *OTHER_COMMANDS):
    app.command(cls=PanelCommand)(command)
app.command(name="methods")(methods.list_methods)
app.command()(methods.cite)


@app.callback(invoke_without_command=True)
def selfdistill(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Train classifiers with self-knowledge distillation, and compare methods."""
    if version:
        print(f"selfdistill {__version__}")
        raise typer.Exit


def application() -> TyperGroup:
    """Build the command from its subcommands."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Exit status: 2 and a short message for a user's mistake, 130 or 143 after a signal."""
    command = application()
    arguments = sys.argv[1:] if arguments is None else arguments
    words = expand_list_options(arguments, list_options(command, arguments))
    if _rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # only rank 0 prints
    try:
        require_values(words)
        command(words, prog_name="selfdistill")
    except UserError as error:
        _end(2, str(error))
    except Interrupted as end:
        if _rank() > 0:
            sys.exit(0)  # on another status the launcher would kill rank 0
        _end(128 + end.number, str(end))
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C outside of training
            _end(130, "interrupted; re-run the command to resume from the last checkpoint")
        raise


def _end(status: int, text: str) -> NoReturn:
    process = f" (process {_rank()})" if _rank() else ""
    print(f"selfdistill{process}: {text}", file=sys.stderr)
    sys.exit(status)


def _rank() -> int:
    """Return the rank from the environment, without importing torch."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


def require_values(words: Sequence[str]) -> None:
    """Raise `UserError` for an option whose value is empty, such as an unset variable of the shell."""
    for option, value in pairwise(["", *words]):
        name, has_value, rest = value.partition("=")
        if (not value and option.startswith("--")) or (name.startswith("--") and has_value and not rest):
            raise UserError(f"{name or option} has an empty value; pass a value, or omit {name or option}")


def list_options(group: TyperGroup, words: Sequence[str]) -> frozenset[str]:
    """Return the options of the command that take several values, such as `--methods`."""
    command = group.commands.get(next((word for word in words if not word.startswith("-")), ""))
    options = command.params if command else ()
    return frozenset(name for each in options if getattr(each, "multiple", False) for name in each.opts)


def expand_list_options(words: Sequence[str], options: Collection[str]) -> list[str]:
    """Rewrite `--methods A B` as `--methods A --methods B`, for the options that take several values."""
    out, option, first = [], "", False
    for word in words:
        if word.startswith("-"):
            option, first = (word if word in options else ""), True
            out.append(word)
        else:
            out.extend([word] if first or not option else [option, word])
            first = False
    return out
