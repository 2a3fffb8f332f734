"""Networks of timm, torchvision and transformers, checked with one forward pass at the requested size."""

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from typing import Protocol, cast

import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.features.logits import logits_of
from selfdistill.task import CLASSIFY, SEGMENT

# Imported on first use: each takes seconds.
LIBRARIES: dict[str, dict[str, str]] = {
    "timm": {CLASSIFY: "from_timm", SEGMENT: "timm_backbone"},
    "torchvision": {CLASSIFY: "from_torchvision", SEGMENT: "torchvision_segmentation"},
    "transformers": {SEGMENT: "segformer"},
}
NETWORK = {CLASSIFY: "classifier", SEGMENT: "segmentation network"}
LOGITS, DIMS = {CLASSIFY: "one row of logits", SEGMENT: "a map of logits"}, {CLASSIFY: 2, SEGMENT: 4}
FEW = 10  # names of a library that an error lists
OTHER = {CLASSIFY: SEGMENT, SEGMENT: CLASSIFY}
SIZES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 299, 384)  # suggested if the requested size fails


class Library(Protocol):
    """Module with the networks of a library for a task."""

    def names(self) -> list[str]:
        """List the names of networks."""
        ...

    def build(self, name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
        """Build a network."""
        ...


def from_library(family: str, name: str, classes: int, size: int, pretrained: bool, task: str = CLASSIFY) -> nn.Module:
    """Build a network of a library; raise `UserError` if it does not accept this image size, or is for another task."""
    with _quiet():
        library = _library(family, name, task)
        network = _checked_build(library, family, name, classes, size, task)
        return _pretrained(library, family, name, classes, size) if pretrained else network


def _library(family: str, name: str, task: str) -> Library:
    """Return the library's networks for the task; raise `UserError` if this one is not among them."""
    known = _names(family, task)
    if name.partition(".")[0] not in known:  # timm's tags, as in resnet18.a1_in1k, name weights
        raise UserError(f"{family} has no {NETWORK[task]} {name!r}; {_way_out(family, name, task, known)}")
    if importlib.util.find_spec(family) is None:
        raise UserError(f"{family}/{name} needs one more library: pip install 'selfdistill[{family}]'")
    return _module(family, task)


def _module(family: str, task: str) -> Library:
    return cast(Library, importlib.import_module(f"selfdistill.models.{LIBRARIES[family][task]}"))


def _names(family: str, task: str) -> list[str]:
    return _module(family, task).names() if task in LIBRARIES[family] else []


def _way_out(family: str, name: str, task: str, known: Sequence[str]) -> str:
    """Name the nearest names, or the other task where the library has the network for it."""
    if name in _names(family, OTHER[task]):
        return f"it is a {NETWORK[OTHER[task]]}; {_instead(family, name, task, known)}"
    near = get_close_matches(name, known, n=3) or (known if len(known) <= FEW else [])
    if near:
        return f"nearest: {', '.join(f'{family}/{each}' for each in near)}"
    return f"{family}'s documentation lists its models" if known else f"its networks are for task={OTHER[task]!r}"


def _instead(family: str, name: str, task: str, known: Sequence[str]) -> str:
    """Way out for a network of the other task."""
    if task == CLASSIFY:
        return f"pass task={SEGMENT!r}, or name a classifier"
    with_decoder = [f"timm/{name}, which gets a decoder"] if name in _names("timm", SEGMENT) else []
    return f"there are {', '.join([*(f'{family}/{each}' for each in known), *with_decoder])}"


def _checked_build(library: Library, family: str, name: str, classes: int, size: int, task: str) -> nn.Module:
    try:
        return _build_and_check(library, name, classes, size, task)
    except Exception as error:  # the library's layers raise errors of many kinds
        works = list(islice(_working_sizes(library, name, classes, task), 3))
        sizes = f"; sizes that work: {', '.join(map(str, works))}" if works else ""
        reason = _first_line(error)
        raise UserError(f"{family}/{name} cannot take images of {size}x{size} pixels ({reason}){sizes}") from error


def _build_and_check(library: Library, name: str, classes: int, size: int, task: str) -> nn.Module:
    network = library.build(name, classes, size, pretrained=False).eval()
    with torch.no_grad():
        logits = logits_of(network(torch.zeros(2, 3, size, size)))
    if logits.shape[:2] != (2, classes) or logits.dim() != DIMS[task]:
        raise UserError(f"it does not return {LOGITS[task]} per image")
    return network.train()


def _working_sizes(library: Library, name: str, classes: int, task: str) -> Iterator[int]:
    for size in SIZES:
        try:
            _build_and_check(library, name, classes, size, task)
        except Exception:  # the next size may do
            continue
        yield size


def _pretrained(library: Library, family: str, name: str, classes: int, size: int) -> nn.Module:
    try:
        return library.build(name, classes, size, pretrained=True)
    except Exception as error:  # missing weights, no connection, full disk: error types differ by library
        raise UserError(
            f"cannot load pretrained weights of {family}/{name} ({_first_line(error)}); "
            "check the connection, or pass weights=FILE"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
