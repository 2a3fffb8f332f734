"""`selfdistill methods` and `selfdistill cite`."""

from typing import Annotated

import typer


def list_methods(
    name: Annotated[str | None, typer.Argument(help="One method, to see its arguments and what it does.")] = None,
) -> None:
    """List the methods, or show one."""
    import inspect

    from selfdistill.cli.console import aligned
    from selfdistill.method.citation import field
    from selfdistill.method.constructor import signature
    from selfdistill.methods import REGISTRY, parse_method

    if name is None:
        made = {each: make() for each, make in REGISTRY.items()}
        years = {each: field("\n".join(made[each].papers[:1]), "year") for each in made}
        print(aligned([(each, years[each], _first(REGISTRY[each])) for each in made]))
        print('\nUse one as "drg()", several as "drg() + dsr()"; selfdistill methods NAME shows its arguments.')
        return
    bare = name.split("(")[0]
    asked = parse_method(f"{bare}()")  # says which names are near where there is none
    print(signature(bare, REGISTRY[bare]), inspect.getdoc(REGISTRY[bare]), sep="\n\n")
    for paper in asked.papers:
        print(f"\n{field(paper, 'title')} ({field(paper, 'year')})\n{field(paper, 'url')}")


def cite(
    method: Annotated[str, typer.Argument(help='Method expression, as in "drg() + csd()".')],
) -> None:
    """Print BibTeX of the papers behind a method."""
    from selfdistill.method.citation import bibtex
    from selfdistill.methods import parse_method

    print(bibtex(parse_method(method)) or f"% {method} has no paper of its own")


def _first(make) -> str:
    return (make.__doc__ or "").strip().splitlines()[0]
