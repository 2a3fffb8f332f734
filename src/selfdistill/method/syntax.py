"""Syntax of method expressions: calls with literal arguments, joined by `+`. Imports no torch, calls nothing."""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from selfdistill.errors import UserError
from selfdistill.schema import LONG, short_repr

LONGEST = 10_000  # characters of an expression: real ones have a hundred


@dataclass(frozen=True)
class Call:
    """A call such as `drg(alpha=0.2)`; `module` is empty for the names of the registry."""

    name: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    module: str
    text: str


@dataclass(frozen=True)
class Control:
    """`control(…)` around an expression."""

    parts: "tuple[Call | Control, ...]"


def read_expression(text: str) -> "tuple[Call | Control, ...]":
    """Read the summands of an expression. Raises `UserError` if the text is not a sum of calls.

    >>> [each.name for each in read_expression("drg(alpha=0.2) + dsr()")]
    ['drg', 'dsr']
    """
    try:
        return _parts(_tree(text))
    except _SyntaxError as error:
        raise unreadable(text, str(error)) from None
    except (RecursionError, MemoryError):  # the latter from Python's parser, whose stack is full
        raise unreadable(text, "it is nested too deeply") from None


def calls(parts: "tuple[Call | Control, ...]") -> Iterator[Call]:
    """Yield the calls of an expression, those in controls included."""
    for part in parts:
        if isinstance(part, Control):
            yield from calls(part.parts)
        else:
            yield part


def unreadable(text: str, why: str) -> UserError:
    """Return the error for an expression that cannot be read."""
    quoted = short_repr(text)
    return UserError(
        f"cannot read the method {quoted}: {why}; write calls joined by +, such as 'drg(alpha=0.2) + dsr()'"
    )


class _SyntaxError(Exception):
    """Raised for an expression that is not a sum of calls; holds the reason."""


_COLON = "_colon_"
_QUOTED = r"""'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_OWN = re.compile(rf"({_QUOTED})|(?<![\w.])([\w.]+):(\w+)(?=\s*\()", re.S)  # quoted text stays as it is


def _tree(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise _SyntaxError(f"it has {len(text):,} characters; at most {LONGEST:,} are read")
    if not text.isascii() and not _is_unicode(text):
        raise _SyntaxError("it has bytes that are not UTF-8")
    if _COLON in text:
        raise _SyntaxError(f"no name may contain {_COLON}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as an invalid escape sequence
            return ast.parse(_quote_paths(text).strip(), mode="eval").body
    except SyntaxError as error:
        raise _SyntaxError(error.msg) from None
    except ValueError as error:  # a null character
        raise _SyntaxError(str(error)) from None


def _is_unicode(text: str) -> bool:
    """Return whether a text can be encoded; bytes of the command line that are no text cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quote_paths(text: str) -> str:
    """Rewrite `package.module:name(` as attribute access, which Python's grammar accepts."""
    return _OWN.sub(lambda found: found[1] or f"{found[2]}.{_COLON}.{found[3]}", text)


def _parts(node: ast.expr) -> tuple[Call | Control, ...]:
    return tuple(_part(each) for each in _summands(node))


def _summands(node: ast.expr) -> list[ast.expr]:
    """List the operands of a sum from left to right; a sum of many is nested deeply, to the left."""
    found: list[ast.expr] = []
    left = [node]
    while left:
        match left.pop():
            case ast.BinOp(left=one, op=ast.Add(), right=other):
                left += [one, other]
            case operand:
                found.append(operand)
    return found[::-1]


def _part(node: ast.expr) -> Call | Control:
    match node:
        case ast.Call(func=ast.Name(id="control")):
            return _control(node)
        case ast.Call():
            return _call(node)
        case ast.Name(id=name):
            raise _SyntaxError(f"a method is called: write {_short(name)}()")
    raise _SyntaxError(f"{_short(_source(node))!r} is no method")


def _control(node: ast.Call) -> Control:
    if len(node.args) != 1 or node.keywords:
        raise _SyntaxError("control( ) goes around one expression")
    return Control(_parts(node.args[0]))


def _call(node: ast.Call) -> Call:
    module, _, name = _dotted(node.func).rpartition(":")
    args, kwargs = _literals(node, name)
    return Call(name, args, kwargs, module, _source(node))


def _dotted(node: ast.expr) -> str:
    names = _source(node)
    if not re.fullmatch(r"[\w.]+(:\w+)?", names):
        raise _SyntaxError(f"{_short(names)!r} is no name of a method")
    return names


def _literals(node: ast.Call, name: str) -> tuple[tuple[object, ...], dict[str, object]]:
    twice = [key for key, count in Counter(each.arg for each in node.keywords).items() if count > 1 and key]
    if twice:
        raise _SyntaxError(f"{_short(name)} is given the argument {_short(twice[0])} more than once")
    try:
        args = tuple(ast.literal_eval(each) for each in node.args)
        return args, {str(each.arg): ast.literal_eval(each.value) for each in node.keywords if _named(each)}
    except (ValueError, TypeError):  # the latter from {[]: 1}
        raise _SyntaxError(
            f"the arguments of {_short(name)}(…) must be plain values (numbers, 'text', True, None, tuples), "
            f"but found {_short(_source(node))}"
        ) from None


def _named(keyword: ast.keyword) -> bool:
    if keyword.arg is None:  # **{…}
        raise ValueError
    return True


def _source(node: ast.expr) -> str:
    """Return a node as source text."""
    try:
        return ast.unparse(node).replace(f".{_COLON}.", ":")
    except ValueError:  # a whole number of too many digits
        return "…"


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]}…"
