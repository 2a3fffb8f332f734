"""Self-knowledge distillation for PyTorch image classifiers.

The public interface is this module's `__all__` and the functions and classes named in the `__all__` of
`selfdistill.methods`, `selfdistill.functional` and `selfdistill.metrics`. All other modules are internal and may
change in any release.

- Training: `teach` and `loader` for your own loop; `run` with a `RunConfig` for the library's.
- Use of a finished run: `load`.
- Studies: `compare`, `Grid`; `evaluate` for the metrics of one model; `create` for a model by name.
- Methods: `sd.methods.drg()` and others, `Method`, `control`.
- Your own loss term and method: `method_constructor`, `LossTerm`, `BuildContext`, `TrainingInfo`, `StepContext`,
  `ForwardPass`, `ModelOutputs`, `TableUpdate`, `LossValue`, `Batch`.
- Errors: `UserError`.

Names are loaded on first use: `import selfdistill` does not import torch. The docstrings' examples assume
`import torch` and `import selfdistill as sd`.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfdistill import data, functional, methods, metrics
    from selfdistill.data import loader
    from selfdistill.data.batch import Batch
    from selfdistill.errors import UserError
    from selfdistill.loop.teach import teach
    from selfdistill.method import Method
    from selfdistill.method.constructor import method_constructor
    from selfdistill.metrics import evaluate
    from selfdistill.models import create
    from selfdistill.predict import load
    from selfdistill.study import Grid
    from selfdistill.study.compare import compare
    from selfdistill.terms import (
        BuildContext,
        ForwardPass,
        LossTerm,
        LossValue,
        ModelOutputs,
        StepContext,
        TableUpdate,
        TrainingInfo,
    )
    from selfdistill.train.config import RunConfig
    from selfdistill.train.run import run

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "BuildContext",
    "ForwardPass",
    "Grid",
    "LossTerm",
    "LossValue",
    "Method",
    "ModelOutputs",
    "RunConfig",
    "StepContext",
    "TableUpdate",
    "TrainingInfo",
    "UserError",
    "__version__",
    "compare",
    "control",
    "create",
    "data",
    "evaluate",
    "functional",
    "load",
    "loader",
    "method_constructor",
    "methods",
    "metrics",
    "run",
    "teach",
]
_PACKAGES = ("data", "functional", "methods", "metrics")
_MODULES = {
    "Batch": "data.batch",
    "BuildContext": "terms",
    "ForwardPass": "terms",
    "Grid": "study",
    "LossTerm": "terms",
    "LossValue": "terms",
    "Method": "method",
    "ModelOutputs": "terms",
    "RunConfig": "train.config",
    "StepContext": "terms",
    "TableUpdate": "terms",
    "TrainingInfo": "terms",
    "UserError": "errors",
    "compare": "study",
    "create": "models",
    "evaluate": "metrics",
    "load": "predict",
    "loader": "data",
    "method_constructor": "method.constructor",
    "run": "train.run",
    "teach": "loop.teach",
}


def control(method: "str | Method") -> "Method":
    """Return a method's control: the same heads and forward passes, trained without the distillation losses.

    Raises `UserError` for an expression that cannot be parsed.

    >>> sd.control("drg()").text
    'control(drg())'
    """
    from selfdistill.methods import parse_method

    return parse_method(method).as_control()


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name in _PACKAGES:
        return importlib.import_module(f"selfdistill.{name}")
    if name not in _MODULES:
        hint = f"; the method is selfdistill.methods.{name}" if _is_method(name) else ""
        raise AttributeError(f"module 'selfdistill' has no attribute {name!r}{hint}")
    return getattr(importlib.import_module(f"selfdistill.{_MODULES[name]}"), name)


def _is_method(name: str) -> bool:
    return (Path(__file__).parent / "methods" / f"{name}.py").is_file()


def __dir__() -> list[str]:
    return __all__
