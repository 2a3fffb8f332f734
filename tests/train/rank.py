"""One of the processes that torchrun starts: runs of methods whose losses are means over rows, on a group-norm net."""

import sys
from pathlib import Path

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from selfdistill import data
from selfdistill.methods import REGISTRY, method
from selfdistill.step import Distiller
from selfdistill.train import run as runs
from tests.networks import network
from tests.train.small import small

DATA = "fake:classes=5,size=16"


def teachers(text):
    return {role: network("group", seed=3) for role in method(text).teachers}


def alike(text):
    """Whether ranks see what one process sees: nothing is drawn, normalised or compared within a rank's rows."""
    made = method(text)
    if made.mixing or made.erasing or {"negatives", "order"} & made.needs.keys():
        return False
    distiller = Distiller(network("group"), made, torch.zeros(2, 3, 16, 16), networks=teachers(text))
    normed = any(isinstance(each, _BatchNorm) for each in distiller.modules())
    return not normed and all(term.over == "rows" for term in distiller.terms.values())


EXPRESSIONS = [text for text in (*(f"{name}()" for name in REGISTRY), "dsr() + csd()", "ema() + dot()") if alike(text)]


def of_the_run(text):
    """Whether a memory of the whole run is moved by a batch's parts one after the other."""
    return any(term.memory_scope == "run" and not term.indexed for term in method(text).all_terms.values())


def train(text, folder, **changes):
    """A run of six steps on a student without batch norm.

    Clipped: one step of a method with a large weight would move the weights by their own length, and rounding with it.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "create", lambda *args, **kwargs: network("group", seed=1))
        config = small(
            text, **{"epochs": 1, "lr": 0.02, "clip_norm": 1.0, "limit": 100, "batch_size": 16, "data": DATA} | changes
        )
        return runs.run(config, folder, splits=data.load(DATA, limit=100), networks=teachers(text))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number, text in enumerate(EXPRESSIONS):
        train(text, Path(sys.argv[1]) / str(number))
