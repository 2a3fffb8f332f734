"""Methods from expressions: names are the registry's, or those of modules that the caller trusts."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import reduce
from operator import add

from selfdistill.errors import UserError
from selfdistill.method.constructor import Constructor, is_constructor
from selfdistill.method.method import Method
from selfdistill.method.syntax import Call, Control, calls, read_expression
from selfdistill.own_modules import import_own
from selfdistill.schema import short_repr

LONGEST_NAME, LONGEST_MESSAGE = 100, 500  # characters in an error

Find = Callable[[Call], Constructor]


def parse(text: str, registry: Mapping[str, Constructor]) -> Method:
    """Parse the user's own expression such as `drg(alpha=0.2) + dsr()`.

    A name is in the registry, or is `package.module:name`, whose module is imported;
    `control(…)` around an expression drops its distillation. Raises `UserError` if the text is not a sum of calls,
    a name is unknown or an argument does not fit.
    """
    return _sum(read_expression(text), lambda call: find_constructor(call, registry))


def parse_stored(text: str, registry: Mapping[str, Constructor], modules: Collection[str] = ()) -> Method:
    """Parse an expression that a file holds: nothing is imported for it but the `modules` that the user names.

    Raises `UserError` as `parse`, and for a method of any other module.
    """
    for call in calls(parts := read_expression(text)):
        if call.module and call.module not in modules:
            raise UserError(
                f"the method {short_repr(call.text)} is of the module {short_repr(call.module)}, which is not imported "
                f"for a name in a file; if you trust the module, pass --modules {call.module}"
            )
    return _sum(parts, lambda call: find_constructor(call, registry))


def find_constructor(call: Call, registry: Mapping[str, Constructor]) -> Constructor:
    """Return the constructor that a call names; its module is imported. Raises `UserError` for an unknown name."""
    return _imported(call) if call.module else _registered(call, registry)


def own_modules(text: str) -> list[str]:
    """List the modules that an expression names, without importing them. Raises `UserError`.

    >>> own_modules("drg() + my_package.terms:early_exit()")
    ['my_package.terms']
    """
    return list(dict.fromkeys(call.module for call in calls(read_expression(text)) if call.module))


def _sum(parts: tuple[Call | Control, ...], find: Find) -> Method:
    return reduce(add, [_method(part, find) for part in parts])


def _method(part: Call | Control, find: Find) -> Method:
    if isinstance(part, Control):
        return _sum(part.parts, find).as_control()
    constructor = find(part)
    return _called(constructor, part) if part.module else constructor(*part.args, **part.kwargs)


def _called(constructor: Constructor, call: Call) -> Method:
    """Call a constructor of another module, and put the module into the text of its method."""
    try:
        made = constructor(*call.args, **call.kwargs)
    except UserError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise UserError(f"{call.module}:{call.name}() raised {type(error).__name__}: {error}; fix it") from error
    own = tuple(f"{call.module}:{each}" for each in made.calls)
    return replace(made, text=f"{call.module}:{made.text}", calls=own)


def _registered(call: Call, registry: Mapping[str, Constructor]) -> Constructor:
    if call.name in registry:
        return registry[call.name]
    near = get_close_matches(call.name[:LONGEST_NAME], registry, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"`selfdistill methods` lists all {len(registry)}."
    name = call.name[:LONGEST_NAME]
    raise UserError(f"there is no method {name!r}; {hint} Your own is written package.module:{name}()")


def _imported(call: Call) -> Constructor:
    """Import a constructor; it must be decorated with `method_constructor`."""
    name = f"{call.module}:{call.name}"[:LONGEST_NAME]
    try:
        found = getattr(import_own(call.module), call.name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot import {name}: {str(error)[:LONGEST_MESSAGE]}") from None
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        message = str(error)[:LONGEST_MESSAGE]
        raise UserError(f"cannot import {name}: the module raised {type(error).__name__}: {message}") from error
    if not is_constructor(found):
        raise UserError(
            f"{name} is not called: it is not marked as a method's constructor; "
            "write @selfdistill.method_constructor above its def"
        )
    constructor: Constructor = found
    return constructor
