"""Method constructors: argument validation, and the call recorded as the method's text."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from selfdistill.errors import UserError
from selfdistill.method.citation import read_entries
from selfdistill.method.method import Method

Constructor = Callable[..., Method]


class Constraint(NamedTuple):
    """The allowed values of an argument."""

    words: str
    holds: Callable[[float], bool]


Positive = Annotated[float, Constraint("a number above 0", lambda value: value > 0)]
NonNegative = Annotated[float, Constraint("a number of 0 or more", lambda value: value >= 0)]
Share = Annotated[float, Constraint("a number from 0 to 1", lambda value: 0 <= value <= 1)]
Part = Annotated[float, Constraint("a number from 0 to under 1", lambda value: 0 <= value < 1)]
Power = Annotated[float, Constraint("a number of 1 or more", lambda value: value >= 1)]
Count = Annotated[int, Constraint("a whole number of 1 or more", lambda value: value >= 1)]
Plural = Annotated[int, Constraint("a whole number of 2 or more", lambda value: value >= 2)]


def method_constructor(make: Constructor) -> Constructor:
    """Decorate a method's constructor: the method records the call that made it, and its papers.

    A method made of others keeps their calls: `lightskd()` is `drg() + dsr()`. The papers are the
    entries of the BibTeX file beside the function's module, if there is one. Calls raise `UserError`
    for arguments that do not fit the annotations.
    """

    @functools.wraps(make)
    def constructor(*args: object, **kwargs: object) -> Method:
        given = _bind(make, args, kwargs)
        made = make(*args, **kwargs)
        return replace(
            made,
            text=call_text(make.__name__, _non_default(make, given)),
            calls=made.calls or (call_text(make.__name__, given),),
            papers=made.papers or read_entries(Path(inspect.getfile(make)).with_suffix(".bib")),
        )

    return constructor


def call_text(name: str, arguments: Mapping[str, object]) -> str:
    """Format a call as Python source: `drg(alpha=0.2)`."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def signature(name: str, constructor: Constructor) -> str:
    """Format a constructor's call with its defaults: `drg(tap='stage2', alpha=0.2)`."""
    parameters = inspect.signature(constructor).parameters.values()
    return call_text(name, {each.name: each.default for each in parameters})


def _bind(make: Constructor, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Return every argument of a call by name, defaults included; raise `UserError` where one does not fit."""
    try:
        bound = inspect.signature(make).bind(*args, **kwargs)
    except TypeError as error:
        known = signature(make.__name__, make)
        raise UserError(f"{make.__name__}: {error}; its arguments are {known}") from None
    bound.apply_defaults()
    for name, kind in get_type_hints(make, include_extras=True).items():
        if name in bound.arguments and not _fits(bound.arguments[name], kind):
            raise UserError(f"{make.__name__}: {name} must be {_wanted(kind)}, but is {bound.arguments[name]!r}")
    return dict(bound.arguments)


def _fits(value: object, kind: object) -> bool:
    if get_origin(kind) is Annotated:
        base, constraint = get_args(kind)
        return _fits(value, base) and bool(constraint.holds(value))
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind)


def _wanted(kind: object) -> str:
    if get_origin(kind) is Annotated:
        return str(get_args(kind)[1].words)
    if get_origin(kind) is Literal:
        return " or ".join(repr(each) for each in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_wanted(each) for each in get_args(kind) if each is not NoneType)
    return next((words for each, words in _WORDS.items() if each is kind), "text")


_WORDS = {float: "a number", int: "a whole number", bool: "True or False"}


def _non_default(make: Constructor, given: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments that differ from their defaults."""
    defaults = inspect.signature(make).parameters
    return {name: value for name, value in given.items() if value != defaults[name].default}
