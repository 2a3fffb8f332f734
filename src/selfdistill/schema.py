"""Type annotations checked at run time: arguments of methods, fields of records."""

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Union, get_args, get_origin, get_type_hints
from typing import is_typeddict as is_record

LONG = 200  # characters of a value that an error quotes


class Range(NamedTuple):
    """The values from `low` to `high`, on a linear or a logarithmic scale."""

    low: float
    high: float
    log: bool = False


Prior = Callable[[float], Range | None]  # from an argument's default to the values worth a trial


class Constraint(NamedTuple):
    """The allowed values of an argument or a field, and the prior of a search."""

    words: str
    holds: Callable[[Any], bool]
    prior: Prior | None = None  # None: not searched unless a range is given


class Mismatch(NamedTuple):
    """A value that does not fit its annotation: the place of the value, the value, and the values that fit."""

    key: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.key or 'the whole'} must be {self.wanted}, but is {self.found}"


def between(least: float, most: float, kind: str = "number") -> Constraint:
    """Return the constraint of a range, both ends included."""
    return Constraint(f"a {kind} from {least:,} to {most:,}", lambda value: least <= value <= most)


def above(least: float, most: float) -> Constraint:
    """Return the constraint of a range without its lower end."""
    return Constraint(f"a number above {least:,}, at most {most:,}", lambda value: least < value <= most)


def around(factor: float, least: float = 0.0) -> Prior:
    """Return the prior on a logarithmic scale from default / factor to default * factor; none around 0."""
    return lambda usual: Range(max(least, usual / factor), usual * factor, log=True) if usual > 0 else None


def across(low: float, high: float) -> Prior:
    """Return the prior of a whole range, whatever the default."""
    return lambda _: Range(low, high)


def fits(value: object, kind: object) -> bool:
    """Return whether a value fits an annotation; numbers are finite, and True is no number."""
    return next(mismatches(value, kind), None) is None


def mismatches(value: object, kind: object, key: str = "") -> Iterator[Mismatch]:
    """Yield every part of a value that does not fit an annotation, named by its key: "config.epochs", "log[2].lr"."""
    origin, args = get_origin(kind), get_args(kind)
    if is_record(kind) and isinstance(value, Mapping):
        yield from _of_fields(value, get_type_hints(kind, include_extras=True), key)
    elif isinstance(value, list | tuple) and type(value) is origin:
        yield from _of_items(value, kind, key)
    elif origin is Annotated and isinstance(value, list | tuple | dict):
        yield from list(mismatches(value, args[0], key)) or _outside(value, args[1], key)
    elif origin is dict and isinstance(value, Mapping):
        for name, each in value.items():
            yield from mismatches(each, args[1], _joined(key, name))
    elif not _is_of(value, kind):
        yield Mismatch(key, short_repr(value), wanted(kind))


def wanted(kind: object) -> str:
    """Describe the values that fit an annotation: "a number above 0", "'rest' or 'whole'"."""
    if get_origin(kind) is Annotated:
        return str(get_args(kind)[1].words)
    if get_origin(kind) is Literal:
        return " or ".join(repr(each) for each in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(wanted(each) for each in get_args(kind) if each is not NoneType)
    if is_record(kind):
        return "an object"
    return _WORDS.get(get_origin(kind) or kind, "text")


def normalized(value: object, kind: object) -> object:
    """Return a number as the plain float that the annotation wants, so that 1, 1.0 and -0 have one spelling each."""
    if isinstance(value, int | float) and not isinstance(value, bool) and _wants_float(kind):
        return float(value) + 0.0  # no minus before a zero
    return value


def short_repr(value: object) -> str:
    """Return a value as Python writes it, shortened to be quoted in an error."""
    return _SHORT.repr(value)


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, LONG, LONG

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if abs(x) < 10**30 else f"a whole number of {x.bit_length()} bits"


_SHORT = _Short()
_WORDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    list: "a list",
    tuple: "a tuple",
    dict: "an object",
}


def _outside(value: object, constraint: Constraint, key: str) -> list[Mismatch]:
    return [] if constraint.holds(value) else [Mismatch(key, short_repr(value), constraint.words)]


def _of_items(value: Sequence[object], kind: object, key: str) -> Iterator[Mismatch]:
    kinds = get_args(kind)
    if isinstance(value, list) or kinds[-1] is ...:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        yield Mismatch(key, short_repr(value), wanted(kind))
    for number, (each, inner) in enumerate(zip(value, kinds, strict=False)):
        yield from mismatches(each, inner, f"{key}[{number}]")


def _of_fields(value: Mapping[str, object], hints: Mapping[str, object], key: str) -> Iterator[Mismatch]:
    for name, kind in hints.items():
        inner = get_args(kind)[0] if get_origin(kind) is NotRequired else kind
        if name in value:
            yield from mismatches(value[name], inner, _joined(key, name))
        elif inner is kind:
            yield Mismatch(_joined(key, name), "missing", wanted(kind))


def _joined(key: str, name: object) -> str:
    words = name if isinstance(name, str) and len(name) < LONG else short_repr(name)
    return f"{key}.{words}" if key else words


def _is_of(value: object, kind: object) -> bool:
    """Return whether a value is of a kind that has no parts."""
    if get_origin(kind) is Annotated:
        base, constraint = get_args(kind)
        return fits(value, base) and bool(constraint.holds(value))
    if get_origin(kind) is Literal:
        return any(value == each and type(value) is type(each) for each in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return any(fits(value, each) for each in get_args(kind))
    if kind in (Any, object):
        return True
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and _is_finite(value)
    return isinstance(kind, type) and not is_record(kind) and isinstance(value, kind)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the floats
        return False


def _wants_float(kind: object) -> bool:
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    plain = [get_args(each)[0] if get_origin(each) is Annotated else each for each in kinds]
    return float in plain and int not in plain
