"""Signature, docstring and papers of a method, read from its source file by `ast` without importing torch."""

import ast
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.method.citation import field, read_entries
from selfdistill.method.syntax import Call, calls, read_expression

FOLDER = Path(__file__).parents[1] / "methods"


@dataclass(frozen=True)
class MethodSource:
    """The constructor of one method, as its file states it."""

    name: str
    defaults: dict[str, object]  # by argument
    doc: str
    papers: tuple[str, ...]  # BibTeX entries

    @property
    def signature(self) -> str:
        """The call with its defaults: `drg(tap='stage2', alpha=0.2)`."""
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.defaults.items())})"

    @property
    def year(self) -> str:
        """Year of the first paper; empty without one."""
        return field(self.papers[0], "year") if self.papers else ""


@functools.cache
def method_names() -> tuple[str, ...]:
    """Names of all methods, in the order of the registry (`NAMES` in methods/__init__.py)."""
    for node in ast.parse((FOLDER / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMES":
            return tuple(_texts(node.value))
    raise LookupError(f"{FOLDER / '__init__.py'} assigns no NAMES")


@functools.cache
def read_method(name: str) -> MethodSource:
    """Read the source of one of `method_names()`."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    make = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    arguments = (*make.args.posonlyargs, *make.args.args)
    values = [ast.literal_eval(each) for each in make.args.defaults]
    defaults = dict(zip((each.arg for each in arguments), values, strict=True))
    return MethodSource(name, defaults, inspect.cleandoc(ast.get_docstring(make) or ""), _papers(name, make))


def cited(expression: str) -> tuple[str, ...] | None:
    """Return the papers of a sum of the library's methods; None for any other expression."""
    try:
        found = list(calls(read_expression(expression)))
    except UserError:
        return None
    if not all(map(_is_plain, found)):
        return None
    names = [each.name for each in found]
    return tuple(dict.fromkeys(paper for name in names for paper in read_method(name).papers))


def _texts(node: ast.expr) -> Iterator[str]:
    """The strings of a tuple, those of its starred tuples in place."""
    match node:
        case ast.Tuple(elts=items):
            for each in items:
                yield from _texts(each)
        case ast.Starred(value=inner):
            yield from _texts(inner)
        case ast.Constant(value=str(text)):
            yield text


def _papers(name: str, make: ast.FunctionDef) -> tuple[str, ...]:
    """Return the papers of the methods that a constructor adds up, or of the BibTeX file next to its module."""
    calls = [each.func for each in ast.walk(make) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)]
    in_order = sorted(calls, key=lambda call: (call.lineno, call.col_offset))
    parts = [call.id for call in in_order if isinstance(call, ast.Name) and call.id in method_names()]
    papers = dict.fromkeys(paper for part in parts for paper in read_method(part).papers)
    return tuple(papers) or read_entries(FOLDER / f"{name}.bib")


def _is_plain(call: Call) -> bool:
    """Return whether a call is one of the library's methods with known arguments, all by name."""
    if call.module or call.args or call.name not in method_names():
        return False
    return call.kwargs.keys() <= read_method(call.name).defaults.keys()
