"""Method constructors: argument validation, and the call recorded as the method's text."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Annotated, NamedTuple, get_args, get_origin, get_type_hints

from selfdistill.errors import UserError
from selfdistill.method.citation import read_entries
from selfdistill.method.method import Method
from selfdistill.schema import Constraint, Prior, across, around, between, mismatches, normalized

Constructor = Callable[..., Method]


# each with its prior: the values that `tune` tries around a default
Positive = Annotated[float, Constraint("a number above 0", lambda value: value > 0, around(4))]
Constant = Annotated[float, Constraint("a number above 0", lambda value: value > 0)]  # such as against a division by 0
NonNegative = Annotated[float, Constraint("a number of 0 or more", lambda value: value >= 0, around(10))]
Share = Annotated[float, Constraint("a number from 0 to 1", lambda value: 0 <= value <= 1, across(0, 1))]
Part = Annotated[float, Constraint("a number from 0 to under 1", lambda value: 0 <= value < 1, across(0, 0.99))]
Power = Annotated[float, Constraint("a number of 1 or more", lambda value: value >= 1, around(2, least=1))]
Count = Annotated[int, between(1, 1_000_000, "whole number")]
Plural = Annotated[int, between(2, 1_000_000, "whole number")]
Peers = Annotated[int, between(2, 20, "whole number")]  # that train together
Generations = Annotated[int, between(1, 20, "whole number")]  # trained one after the other

_CONSTRUCTORS: set[Constructor] = set()  # the functions that `method_constructor` has decorated


def method_constructor(make: Constructor) -> Constructor:
    """Decorate a method's constructor: the method records the call that made it, and its papers.

    A method made of others keeps their calls: `lightskd()` is `drg() + dsr()`. The papers are the
    entries of the BibTeX file next to the function's module, if it exists. Calls raise `UserError`
    for arguments that do not fit the annotations. An expression calls decorated functions only.

    >>> @sd.method_constructor
    ... def gentle(alpha: float = 0.1):
    ...     return sd.methods.drg(alpha=alpha) + sd.methods.dsr()
    >>> gentle(alpha=0.05).text
    'gentle(alpha=0.05)'
    """

    @functools.wraps(make)
    def constructor(*args: object, **kwargs: object) -> Method:
        bound = _bind(make, args, kwargs)
        made, given = make(*bound.args, **bound.kwargs), dict(bound.arguments)
        if not isinstance(made, Method):
            raise UserError(f"{make.__name__}() made a {type(made).__name__}; a method's constructor returns a Method")
        return replace(
            made,
            text=call_text(make.__name__, _non_default(make, given)),
            calls=made.calls or (call_text(make.__name__, given),),
            papers=made.papers or read_entries(Path(inspect.getfile(make)).with_suffix(".bib")),
        )

    _CONSTRUCTORS.add(constructor)
    return constructor


def is_constructor(found: object) -> bool:
    """Return whether `method_constructor` has decorated a function."""
    return isinstance(found, FunctionType) and found in _CONSTRUCTORS


def require_at_most(method: str, argument: str, value: float, bound: tuple[str, float] | None) -> None:
    """Raise `UserError` if an argument exceeds the bound of an option: (option, largest value)."""
    if bound is not None and value > bound[1]:
        raise UserError(
            f"{method}: with {bound[0]} {argument} must be {bound[1]:g} or less, but is {value:g}; above it the term's "
            f"gradient outweighs cross-entropy's: pass {argument}={bound[1]:g}"
        )


def call_text(name: str, arguments: Mapping[str, object]) -> str:
    """Format a call as Python source: `drg(alpha=0.2)`."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def signature(name: str, constructor: Constructor) -> str:
    """Format a constructor's call with its defaults: `drg(tap='stage2', alpha=0.2)`."""
    parameters = inspect.signature(constructor).parameters.values()
    return call_text(name, {each.name: each.default for each in parameters})


class Argument(NamedTuple):
    """An argument that is a number: its default, its prior, and true for a whole number."""

    default: float
    prior: Prior | None
    whole: bool


def number_arguments(constructor: Constructor) -> dict[str, Argument]:
    """Return the arguments of a constructor whose defaults are numbers.

    >>> number_arguments(sd.methods.drg)["alpha"].prior(0.2)
    Range(low=0.02, high=2.0, log=True)
    """
    kinds = get_type_hints(constructor, include_extras=True)
    usual = {name: each.default for name, each in inspect.signature(constructor).parameters.items()}
    return {
        name: _argument(default, kinds.get(name))
        for name, default in usual.items()
        if isinstance(default, int | float) and not isinstance(default, bool)
    }


def _argument(default: float, kind: object) -> Argument:
    parts = get_args(kind) if get_origin(kind) is Annotated else (kind, None)
    prior = parts[1].prior if isinstance(parts[1], Constraint) else None
    return Argument(default, prior, whole=parts[0] is int)


def _bind(make: Constructor, args: tuple[object, ...], kwargs: Mapping[str, object]) -> inspect.BoundArguments:
    """Return every argument of a call, defaults included; raise `UserError` where one does not fit."""
    try:
        bound = inspect.signature(make).bind(*args, **kwargs)
    except TypeError as error:
        known = signature(make.__name__, make)
        raise UserError(f"{make.__name__}: {error}; its arguments are {known}") from None
    bound.apply_defaults()
    for name, kind in get_type_hints(make, include_extras=True).items():
        if name in bound.arguments:
            bound.arguments[name] = _checked(make, name, bound.arguments[name], kind)
    return bound


def _checked(make: Constructor, name: str, value: object, kind: object) -> object:
    if wrong := next(mismatches(value, kind, name), None):
        raise UserError(f"{make.__name__}: {wrong}")
    return normalized(value, kind)


def _non_default(make: Constructor, given: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments that differ from their defaults."""
    defaults = inspect.signature(make).parameters
    return {name: value for name, value in given.items() if value != defaults[name].default}
