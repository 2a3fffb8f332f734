"""`selfdistill methods` and `selfdistill cite`. Neither imports torch, except to report an invalid expression."""

from typing import Annotated

import typer

from selfdistill.cli.method_source import cited, method_names, read_method


def list_methods(
    name: Annotated[str | None, typer.Argument(help="A method, to show its arguments, description and papers.")] = None,
) -> None:
    """List all methods, or describe one."""
    if name is None:
        _list_all()
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
