"""`selfdistill methods` and `selfdistill cite`. Neither imports torch, except to report an invalid expression."""

from itertools import compress
from typing import Annotated

import typer

from selfdistill.cli.method_source import cited, method_names, read_method


def list_methods(
    name: Annotated[str | None, typer.Argument(help="A method, to show its arguments, description and papers.")] = None,
    cost: Annotated[bool, typer.Option("--cost", help="Forward passes and parameters in training.")] = False,
    needs: Annotated[bool, typer.Option("--needs", help="What a method needs beyond images and labels.")] = False,
) -> None:
    """List all methods, or describe one.

    With --cost or --needs the methods are ordered by what you have, each with the evidence of its implementation:
    values of published code ("reference"), or plain loops ("oracle").
    """
    if name is None and not (cost or needs):
        _list_all()
    elif name is None:
        _list_families(cost, needs)
    elif (bare := name.split("(")[0]) in method_names():
        _describe(bare)
    else:
        _refuse(bare)


def cite(
    method: Annotated[str, typer.Argument(help='Method, or expression such as "drg() + csd()".')],
) -> None:
    """Print BibTeX entries of a method's papers."""
    if method.isidentifier():
        method = f"{method}()"  # `cite drg` reads as `methods drg` does
    papers = cited(method)
    print("\n\n".join(_parsed_papers(method) if papers is None else papers) or f"% {method} has no paper")


def _list_all() -> None:
    from selfdistill.cli.console import aligned

    methods = [read_method(name) for name in method_names()]
    print(aligned([(each.name, each.year, each.doc.splitlines()[0]) for each in methods]))
    print('\nTrain with "drg()", or with a sum such as "drg() + dsr()"; selfdistill methods NAME shows the arguments.')


def _list_families(cost: bool, needs: bool) -> None:
    from selfdistill.cli.console import aligned
    from selfdistill.method.families import method_families

    shown = {"method": True, "forward passes": cost, "added": cost, "needs": needs, "evidence": True, "idea": True}
    for family in method_families():
        rows = [(each.name, each.passes, each.added, each.needs, each.evidence, each.idea) for each in family.profiles]
        table = [tuple(compress(row, shown.values())) for row in (tuple(shown), *rows)]
        print(f"{family.title}. {family.lead}\n{aligned(table)}\n")
    print("forward passes: of the student + others; added: parameters in training, and memory in brackets")


def _describe(name: str) -> None:
    from selfdistill.method.citation import field

    found = read_method(name)
    print(found.signature, found.doc, sep="\n\n")
    for paper in found.papers:
        print(f"\n{field(paper, 'title')} ({field(paper, 'year')})\n{field(paper, 'url')}")


def _refuse(name: str) -> None:
    """Raise the registry's own error, which names the nearest methods."""
    from selfdistill.methods import parse_method

    parse_method(f"{name}()")


def _parsed_papers(expression: str) -> tuple[str, ...]:
    """Papers of an expression that needs the full parser: a method of the user's own, or a mistake to report."""
    from selfdistill.methods import parse_method

    return parse_method(expression).papers
