"""Parser of method expressions: calls with literal arguments, joined by `+`, never evaluated."""

import ast
import importlib
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import reduce
from operator import add

from selfdistill.errors import UserError
from selfdistill.method.constructor import Constructor
from selfdistill.method.method import Method


def parse(text: str, registry: Mapping[str, Constructor]) -> Method:
    """Parse a method expression such as `drg(alpha=0.2) + dsr()`.

    A name is one of the registry's, or `package.module:name` for a method outside of it; `control(…)`
    around an expression drops its distillation. Raises `UserError` where the text is no sum of calls,
    a name is unknown or an argument does not fit.
    """
    return _sum(_tree(text), text, registry)


def _sum(node: ast.expr, text: str, registry: Mapping[str, Constructor]) -> Method:
    return reduce(add, [_method(call, text, registry) for call in _calls(node, text)])


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(_quote_paths(text).strip(), mode="eval").body
    except SyntaxError as error:
        raise _unreadable(text, error.msg) from None


def _quote_paths(text: str) -> str:
    """Rewrite `package.module:name(` as attribute access, which Python's grammar accepts."""
    return _OWN.sub(lambda found: found[1] or f"{found[2]}.{_COLON}.{found[3]}", text)


_COLON = "_colon_"
_OWN = re.compile(r"""('[^']*'|"[^"]*")|([\w.]+):(\w+)(?=\s*\()""")  # quoted text stays as it is


def _calls(node: ast.expr, text: str) -> list[ast.Call]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _calls(left, text) + _calls(right, text)
        case ast.Call():
            return [node]
        case ast.Name(id=name):
            raise _unreadable(text, f"a method is called: write {name}()")
    raise _unreadable(text, f"{ast.unparse(node)!r} is no method")


def _unreadable(text: str, why: str) -> UserError:
    return UserError(
        f"cannot read the method {text!r}: {why}; write calls joined by +, such as 'drg(alpha=0.2) + dsr()'"
    )


def _method(call: ast.Call, text: str, registry: Mapping[str, Constructor]) -> Method:
    if isinstance(call.func, ast.Name) and call.func.id == "control":
        if len(call.args) != 1 or call.keywords:
            raise _unreadable(text, "control( ) goes around one expression")
        return _sum(call.args[0], text, registry).as_control()
    module, _, name = ast.unparse(call.func).rpartition(f".{_COLON}.")
    constructor = _imported(module, name) if module else _constructor(name, registry)
    args, kwargs = _literals(call, name)
    made = constructor(*args, **kwargs)
    if not isinstance(made, Method):
        raise UserError(f"{name}() made a {type(made).__name__}; a method's constructor returns a Method")
    return _from_module(module, made, ast.unparse(call)) if module else made


def _from_module(module: str, made: Method, call: str) -> Method:
    """Return a method from outside the registry with its import path in its text."""
    written = call.replace(f".{_COLON}.", ":")
    if not made.text:
        return replace(made, text=written, calls=(written,))
    return replace(made, text=f"{module}:{made.text}", calls=tuple(f"{module}:{call}" for call in made.calls))


def _literals(call: ast.Call, name: str) -> tuple[list[object], dict[str, object]]:
    try:
        args = [ast.literal_eval(each) for each in call.args]
        return args, {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except ValueError:
        raise UserError(
            f"the arguments of {name}(…) must be plain values (numbers, 'text', True, None, tuples), "
            f"but found {ast.unparse(call)}"
        ) from None


def _constructor(name: str, registry: Mapping[str, Constructor]) -> Constructor:
    if name in registry:
        return registry[name]
    near = get_close_matches(name, registry, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"`selfdistill methods` lists all {len(registry)}."
    raise UserError(f"there is no method {name!r}; {hint} Your own is written package.module:{name}()")


def _imported(module: str, name: str) -> Constructor:
    try:
        constructor: Constructor = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot import {module}:{name}: {error}") from None
    return constructor
