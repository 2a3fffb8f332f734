"""Networks of timm and torchvision, checked with one forward pass at the requested size."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn

from selfdistill.errors import UserError

LIBRARIES = ("timm", "torchvision")
SIZES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 299, 384)  # suggested if the requested size fails


class Library(Protocol):
    """Interface of the modules from_timm and from_torchvision."""

    def names(self) -> list[str]:
        """List the names of classifiers."""
        ...

    def build(self, name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
        """Build a classifier."""
        ...


def from_library(family: str, name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """Build a network of a library; raise `UserError` if it does not accept this image size."""
    library = _library(family)
    with _quiet():
        _require_known(library, family, name)
        network = _checked_build(library, family, name, classes, size)
        return _pretrained(library, family, name, classes, size) if pretrained else network


def _library(family: str) -> Library:
    # Imported on first use: each takes seconds.
    if family == "timm":
        from selfdistill.models import from_timm

        return from_timm
    from selfdistill.models import from_torchvision

    return from_torchvision


def _require_known(library: Library, family: str, name: str) -> None:
    known = library.names()
    if name.partition(".")[0] not in known:  # timm's tags, as in resnet18.a1_in1k, name weights
        near = [f"{family}/{close}" for close in get_close_matches(name, known, n=3)]
        nearest = f"nearest: {', '.join(near)}" if near else f"{family}'s documentation lists its models"
        raise UserError(f"{family} has no classifier {name!r}; {nearest}")


def _checked_build(library: Library, family: str, name: str, classes: int, size: int) -> nn.Module:
    try:
        return _build_and_check(library, name, classes, size)
    except Exception as error:  # the library's layers raise errors of many kinds
        works = list(islice(_working_sizes(library, name, classes), 3))
        sizes = f"; sizes that work: {', '.join(map(str, works))}" if works else ""
        reason = _first_line(error)
        raise UserError(f"{family}/{name} cannot take images of {size}x{size} pixels ({reason}){sizes}") from error


def _build_and_check(library: Library, name: str, classes: int, size: int) -> nn.Module:
    network = library.build(name, classes, size, pretrained=False).eval()
    with torch.no_grad():
        logits = network(torch.zeros(2, 3, size, size))
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        raise UserError("it does not return one row of logits per image")
    return network.train()


def _working_sizes(library: Library, name: str, classes: int) -> Iterator[int]:
    for size in SIZES:
        try:
            _build_and_check(library, name, classes, size)
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
