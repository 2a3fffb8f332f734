"""Import of modules that the user names: methods and models of their own, in the current folder or installed."""

import importlib
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import ModuleType

from selfdistill.errors import UserError


def import_own(name: str) -> ModuleType:
    """Import a module that the user has named. Raises what the module raises.

    >>> import_own("json").__name__
    'json'
    """
    with current_folder_importable():
        return importlib.import_module(name)


def require_named(module: str | None, modules: Collection[str], record: str, what: str) -> None:
    """Raise `UserError` for a module in a record that the user did not name: a record must not run code.

    `what` describes what the record names of the module, such as "the model 'nets:tiny'".
    """
    if module is not None and module not in modules:
        raise UserError(
            f"{record} names {what}, whose module is imported only if you name it: pass --modules {module} "
            f"(in Python, modules=[{module!r}]) if you trust it"
        )


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Search the current folder last while the module that the user named is imported or called.

    Never for longer: the folder may be a stranger's run, and a library that looks for an optional module, which is not
    installed, would run the stranger's file of that name.
    """
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.reverse()
        sys.path.remove(folder)  # the last one of this name
        sys.path.reverse()
