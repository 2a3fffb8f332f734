"""The command's frame: its subcommands, and how a user's mistakes are answered."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from selfdistill import __version__
from selfdistill.cli import bench, compare, doctor, evaluate, inspect, methods, report, reproduce, study, train
from selfdistill.errors import Interrupted, UserError

app = typer.Typer(
    help="Train image classifiers that teach themselves, and compare the ways to do it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
TRAINING = (compare.compare, study.study, reproduce.reproduce, train.train)
LOOKING = (report.report, evaluate.evaluate, evaluate.export, inspect.plan, inspect.taps, bench.bench, doctor.doctor)
for command in (*TRAINING, *LOOKING):
    app.command()(command)
app.command(name="methods")(methods.list_methods)
app.command()(methods.cite)


@app.callback(invoke_without_command=True)
def selfdistill(version: bool = typer.Option(False, "--version", help="Show the version.")) -> None:
    """Train image classifiers that teach themselves, and compare the ways to do it."""
    if version:
        print(f"selfdistill {__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: exit status 2 and a line or two for a user's mistake, 130 and 143 after a signal."""
    words = spread(sys.argv[1:] if arguments is None else arguments)
    if _rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # the first process speaks for all
    try:
        app(words, prog_name="selfdistill")
    except UserError as error:
        _end(2, str(error))
    except Interrupted as end:
        if _rank() > 0:
            sys.exit(0)  # another status would have the first process killed by its watch over the others
        _end(128 + end.number, str(end))
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C while nothing trained
            _end(130, "interrupted; the same command goes on from what was saved")
        raise


def _end(status: int, text: str) -> NoReturn:
    process = f" (process {_rank()})" if _rank() else ""
    print(f"selfdistill{process}: {text}", file=sys.stderr)
    sys.exit(status)


def _rank() -> int:
    """Which of the processes of a run this is; torch would have to be loaded to ask it."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


SEVERAL = (
    "--methods",
    "--models",
    "--datasets",
    "--label-noises",
    "--measures",
    "--epsilons",
    "--show",
)  # options that take several values


def spread(words: Sequence[str]) -> list[str]:
    """Let an option take several values: `--methods A B` as `--methods A --methods B`."""
    out, option, first = [], "", False
    for word in words:
        if word.startswith("-"):
            option, first = (word if word in SEVERAL else ""), True
            out.append(word)
        else:
            out.extend([word] if first or not option else [option, word])
            first = False
    return out
