"""A method: loss terms and their requirements, combined with `+`, written as an expression."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfdistill.method.method import Method

__all__ = ["Method"]


def __getattr__(name: str) -> object:
    """Import `Method` on first use, so that citations can be read without torch."""
    if name not in __all__:
        raise AttributeError(f"module 'selfdistill.method' has no attribute {name!r}")
    return getattr(importlib.import_module("selfdistill.method.method"), name)
