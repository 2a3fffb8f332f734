"""The space of a search: an expression's free arguments and the recipe, each with its range and default."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from selfdistill.errors import UserError
from selfdistill.method.constructor import Argument, call_text, number_arguments
from selfdistill.method.expression import find_constructor
from selfdistill.method.syntax import Call, read_expression
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.schema import Range, around
from selfdistill.train.config import RunConfig

RECIPE = ("lr", "weight_decay")
DIGITS = 3  # significant digits of a value: an expression is to be read and pasted

_NUMBER = r"[-+]?(?:\d+\.\d+|\d+|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"""('[^']*'|"[^"]*")|(?<![\w.])({_NUMBER})\.\.({_NUMBER})(?![\w.])""")  # quoted text stays
_MARK = ".."  # first item of the tuple that stands for a range


@dataclass(frozen=True)
class Dimension:
    """One number of a search."""

    name: str  # such as "drg.alpha" or "lr"
    range: Range
    default: float
    whole: bool = False

    def rounded(self, value: float) -> float:
        """Round a value to what an expression shows."""
        return round(value) if self.whole else float(f"{value:.{DIGITS}g}")

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the range."""
        return self.range.low <= value <= self.range.high


@dataclass(frozen=True)
class Space:
    """The dimensions of a method's search.

    `text` is the expression as given, with its ranges; `calls` have the fixed arguments only.

    >>> space = space_of("scd(weight=0.1..30)", RunConfig("ce()"))
    >>> space.default, [each.name for each in space.dimensions]
    ('scd()', ['scd.weight', 'scd.power', 'lr', 'weight_decay'])
    """

    text: str
    calls: tuple[Call, ...]
    dimensions: tuple[Dimension, ...]

    @property
    def defaults(self) -> dict[str, float]:
        """Return the default of each dimension."""
        return {each.name: each.default for each in self.dimensions}

    @property
    def default(self) -> str:
        """Return the method with the fixed arguments alone."""
        return self.method({})

    def method(self, values: Mapping[str, float]) -> str:
        """Return the method at these values. Raises `UserError` for a value that does not fit."""
        return parse_method(_joined(self.calls, values)).text

    def config(self, base: RunConfig, values: Mapping[str, float]) -> RunConfig:
        """Return the configuration of a run at these values."""
        return replace(base, method=self.method(values), lr=values["lr"], weight_decay=values["weight_decay"])


def space_of(text: str, base: RunConfig) -> Space:
    """Return the space of an expression.

    An argument with a range (`0.1..30`) has that range, an argument with a value is fixed, and any other has the prior
    of its annotation. Raises `UserError` for an expression that does not parse, and for a range that does not rise or
    whose ends do not fit the argument.
    """
    given = [_named(each) for each in _calls(text)]
    fixed = tuple(replace(call, kwargs=_fixed(call)) for call in given)
    parse_method(_joined(fixed, {}))  # raises `UserError`, also for two calls of one constructor
    dimensions = (dimension for call in given for dimension in _dimensions(call))
    space = Space(text, fixed, (*dimensions, *_of_recipe(base)))
    _require_ends(space)
    return space


def _calls(text: str) -> list[Call]:
    found = read_expression(_RANGE.sub(lambda each: each[1] or f"('{_MARK}', {each[2]}, {each[3]})", text))
    if controls := [each for each in found if not isinstance(each, Call)]:
        raise UserError(f"tune searches methods, but {text!r} has {len(controls)} control( ); tune the method itself")
    return [each for each in found if isinstance(each, Call)]


def _named(call: Call) -> Call:
    """Return a call with its positional arguments by name."""
    constructor = find_constructor(call, REGISTRY)
    try:
        bound = inspect.signature(constructor).bind(*call.args, **call.kwargs).arguments
    except TypeError:
        constructor(*call.args, **call.kwargs)  # raises `UserError` with the arguments that there are
        raise
    return replace(call, args=(), kwargs=dict(bound))


def _is_range(value: object) -> bool:
    return isinstance(value, tuple) and value[:1] == (_MARK,)


def _fixed(call: Call) -> dict[str, object]:
    return {name: value for name, value in call.kwargs.items() if not _is_range(value)}


def _joined(calls: Sequence[Call], values: Mapping[str, float]) -> str:
    return " + ".join(_text(call, values) for call in calls)


def _text(call: Call, values: Mapping[str, float]) -> str:
    prefix = f"{call.name}."
    searched = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    module = f"{call.module}:" if call.module else ""
    return module + call_text(call.name, {**call.kwargs, **searched})


def _dimensions(call: Call) -> Iterator[Dimension]:
    for name, argument in number_arguments(find_constructor(call, REGISTRY)).items():
        found = _range(call, name, argument)
        if found is not None:
            yield Dimension(f"{call.name}.{name}", found, argument.default, argument.whole)
    if lost := [name for name in call.kwargs if _is_range(call.kwargs[name]) and not _is_number(call, name)]:
        raise UserError(f"{call.name}: {lost[0]} has no number as its default, so it has no range; give one value")


def _is_number(call: Call, name: str) -> bool:
    return name in number_arguments(find_constructor(call, REGISTRY))


def _range(call: Call, name: str, argument: Argument) -> Range | None:
    """Return the given range of an argument, or that of its prior; None for a fixed one, and one without a prior."""
    prior = argument.prior(argument.default) if argument.prior else None
    if name not in call.kwargs:
        return prior
    value = call.kwargs[name]
    if not (isinstance(value, tuple) and _is_range(value)):
        return None
    low, high = value[1:]
    if not low < high:
        raise UserError(f"{call.name}: the range {name}={low}..{high} must rise; write {name}={high}..{low}")
    return Range(low, high, low > 0 and (prior.log if prior else high >= 10 * low))


def _of_recipe(base: RunConfig) -> Iterator[Dimension]:
    """Yield learning rate and weight decay, each around its default."""
    for name in RECIPE:
        usual = float(getattr(base, name))
        yield Dimension(name, around(10)(usual) or Range(1e-5, 1e-2, log=True), usual)


def _require_ends(space: Space) -> None:
    """Raise `UserError` if an end of a range does not fit its argument."""
    for each in space.dimensions:
        for end in (each.range.low, each.range.high) if each.name not in RECIPE else ():
            try:
                space.method({each.name: end})
            except UserError as error:
                low, high = each.range[:2]
                raise UserError(f"{each.name} from {low:g} to {high:g}: {error}; give a range that fits") from None
