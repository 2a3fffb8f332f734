"""Where images come from: one file a source, found by the first word of a data specification."""

import importlib
from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.errors import UserError

Pick = Callable[[Tensor], Tensor]  # training labels [N] -> indices of those to decode


class Raw(NamedTuple):
    """What a source delivers before the library's own splitting."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    flip: bool = True


SOURCES = {
    "digits": ("digits", "scikit-learn's 1797 handwritten digits, 8x8, embedded"),
    "parquet": ("parquet", "parquet:PATH, files in the hub's layout: train-*.parquet, test-*.parquet"),
    "folder": ("folder", "folder:PATH, class folders in train/ and val/ or test/"),
    "cifar10": ("torchvision_sets", "CIFAR-10, downloaded"),
    "cifar100": ("torchvision_sets", "CIFAR-100, downloaded"),
    "svhn": ("torchvision_sets", "Street View House Numbers, downloaded"),
    "fashion-mnist": ("torchvision_sets", "Fashion-MNIST, downloaded"),
    "hub": ("hub", "hub:ORG/NAME, a data set of the hub (needs selfdistill[hub])"),
    "fake": ("fake", "fake:classes=10,size=32,train=256,test=64, random images for trying out"),
}


def read(spec: str, pick: Pick, size: int | None) -> Raw:
    """Read what a specification such as "digits" or "folder:PATH" names. Raises `UserError`."""
    name, _, argument = spec.partition(":")
    if name not in SOURCES:
        near = get_close_matches(name, SOURCES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"there is no data source {name!r}; {hint}There are {', '.join(SOURCES)}")
    module = importlib.import_module(f"selfdistill.data.sources.{SOURCES[name][0]}")
    return module.read(name, argument, pick, size)
