"""Import of modules that the user names: methods and models of their own, in the current folder or installed."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_own(name: str) -> ModuleType:
    """Import a module that the user has named. Raises what the module raises.

    >>> import_own("json").__name__
    'json'
    """
    with current_folder_importable():
        return importlib.import_module(name)


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
