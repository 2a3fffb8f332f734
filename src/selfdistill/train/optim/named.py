"""Optimizers of timm by name."""

import importlib
from difflib import get_close_matches
from typing import Any

import torch

from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig

# Updates that read one number of a parameter at a time, so that they are the same for a shard of it.
ELEMENTWISE = frozenset(
    ("adam", "adamw", "nadam", "nadamw", "radam", "radamw", "adamax", "adagrad", "rmsprop", "rmsproptf", "lion", "sgd")
)


def make_named(groups: list[dict[str, Any]], config: RunConfig) -> torch.optim.Optimizer:
    """Make an optimizer of timm over parameter groups, which have their own weight decay.

    Raises `UserError` for an unknown name, one that needs another library or second derivatives, and under FSDP for
    one that reads whole parameters.
    """
    optim = importlib.import_module("timm.optim")  # slow to import
    name = config.optimizer
    known = [str(each) for each in optim.list_optimizers()]
    if name not in known:
        near = get_close_matches(name, known, n=3)
        nearest = f"nearest: {', '.join(near)}" if near else "such as adamw, lamb, lion or muon"
        raise UserError(f"there is no optimizer {name!r}; {nearest}")
    if config.strategy == "fsdp" and name not in ELEMENTWISE:
        raise UserError(
            f"--optimizer {name} reads whole parameters, but --strategy fsdp shards them; take one of "
            f"{', '.join(sorted(ELEMENTWISE))}, or --strategy ddp"
        )
    try:
        made: torch.optim.Optimizer = optim.create_optimizer_v2(
            groups, opt=name, lr=config.lr, weight_decay=0.0, momentum=config.momentum
        )
    except (AssertionError, ImportError, NameError, RuntimeError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(
            f"cannot make the optimizer {name!r} ({reason}); install what it needs, or take adamw"
        ) from error
    if getattr(made, "is_second_order", False):
        raise UserError(
            f"the optimizer {name!r} needs second derivatives, which a training step does not make; take adamw"
        )
    return made
