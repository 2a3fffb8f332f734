"""Train image classifiers that teach themselves: self-knowledge distillation for any PyTorch model.

Names are loaded when they are first used, so that `import selfdistill` costs next to nothing.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfdistill.data import loader
    from selfdistill.data.batch import Batch
    from selfdistill.errors import UserError
    from selfdistill.loop.teach import DistillationStep, teach
    from selfdistill.method import Method
    from selfdistill.method.constructor import Constructor
    from selfdistill.step import Distiller
    from selfdistill.terms import ForwardPass, LossTerm

__version__ = "0.1.0"

_HOMES = {
    "loader": "data",
    "Distiller": "step",
    "UserError": "errors",
    "Method": "method",
    "DistillationStep": "loop.teach",
    "teach": "loop.teach",
    "Batch": "data.batch",
    "LossTerm": "terms",
    "ForwardPass": "terms",
}
_METHODS = tuple(sorted(each.stem for each in (Path(__file__).parent / "methods").glob("[a-z]*.py")))

__all__ = [
    "Batch",
    "DistillationStep",
    "Distiller",
    "ForwardPass",
    "LossTerm",
    "Method",
    "UserError",
    "__version__",
    "loader",
    "teach",
]
__all__ += list(_METHODS)


def __getattr__(name: str) -> "Any | Constructor":
    """Load a public name at its first use: each method by its name too, as `sd.drg`."""
    home = "methods" if name in _METHODS else _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'selfdistill' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selfdistill.{home}"), name)


def __dir__() -> list[str]:
    return __all__
