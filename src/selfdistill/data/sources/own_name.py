"""Names of data sets of the user's own, own:MODULE:CALLABLE, read without importing anything."""

from collections.abc import Collection

from selfdistill.errors import UserError
from selfdistill.own_modules import require_named

PREFIX = "own"
WRITE = "write own:MODULE:CALLABLE"


def module_of_data(spec: str) -> str | None:
    """Return the module of a user's own data set, None for another.

    >>> module_of_data("own:my_package.data:make"), module_of_data("digits")
    ('my_package.data', None)
    """
    prefix, _, name = spec.partition(":")
    return name.partition(":")[0] if prefix == PREFIX else None


def split_name(argument: str) -> tuple[str, str]:
    """Split MODULE:CALLABLE. Raises `UserError`.

    >>> split_name("my_package.data:make")
    ('my_package.data', 'make')
    """
    module, _, attribute = argument.partition(":")
    if not attribute.isidentifier() or not all(each.isidentifier() for each in module.split(".")):
        raise UserError(f"cannot read own:{argument}; {WRITE}, such as own:my_data:make")
    return module, attribute


def require_data_module(spec: str, modules: Collection[str], record: str) -> None:
    """Raise `UserError` for a record's data of a module that the user did not name: a record must not run code."""
    require_named(module_of_data(spec), modules, record, f"the data {spec!r}")
