"""The command's frame: its subcommands, and how a user's mistakes are answered."""

import sys
from collections.abc import Sequence

import typer

from selfdistill import __version__
from selfdistill.cli import compare, evaluate, look, methods, report, reproduce, study, train
from selfdistill.errors import UserError

app = typer.Typer(
    help="Train image classifiers that teach themselves, and compare the ways to do it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    compare.compare,
    study.study,
    reproduce.reproduce,
    train.train,
    report.report,
    evaluate.evaluate,
    evaluate.export,
    look.plan,
    look.taps,
):
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
    """Run the command: exit status 2 and a line or two for a user's mistake, 130 for Ctrl-C."""
    words = spread(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words, prog_name="selfdistill")
    except UserError as error:
        print(f"selfdistill: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("selfdistill: interrupted; the same command goes on from the last epoch", file=sys.stderr)
        sys.exit(130)


def spread(words: Sequence[str], options: Sequence[str] = ("--methods", "--models", "--datasets")) -> list[str]:
    """Let an option take several values: `--methods A B` as `--methods A --methods B`."""
    out: list[str] = []
    taking, first = "", False
    for word in words:
        if word.startswith("-"):
            taking, first = word if word in options else "", True
            out.append(word)
        else:
            out.extend([word] if not taking or first else [taking, word])
            first = False
    return out
