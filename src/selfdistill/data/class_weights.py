"""Weights of classes in losses of labels: by inverse frequency, or from a file; and those of examples."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from selfdistill.data.sources.csv_table import TABS, read_csv
from selfdistill.errors import UserError
from selfdistill.files import is_file, read_json

AUTO = "auto"
CSV = (".csv", *TABS)


def class_weights(source: str, labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Return the weight of each class: "auto" by inverse frequency, or from a file. labels [N] -> [C].

    Raises `UserError` for a file that cannot be read, and for classes that it lacks or that the data lack.
    """
    if source == AUTO:
        return inverse_frequency(labels, len(classes))
    if not is_file(source):
        raise UserError(f"there is no file {source!r}; class weights are auto, or a JSON or CSV file of them by name")
    return _in_order(read_class_weights(Path(source)), classes, source)


def inverse_frequency(labels: Tensor, classes: int) -> Tensor:
    """Weight each class by N / (C · its examples), so that the mean over examples is 1. labels [N] -> [C] float32.

    >>> inverse_frequency(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    counts = torch.bincount(labels.cpu(), minlength=classes).double()
    return (len(labels) / (classes * counts.clamp_min(1))).float()


def read_class_weights(path: Path) -> dict[str, float]:
    """Read the weights of classes by name from a JSON object, or from the columns class and weight of a CSV table.

    Raises `UserError` for a file that cannot be read, a class named twice, and a weight that is not above 0.
    """
    pairs = [*(_from_csv(path) if path.suffix.lower() in CSV else read_json(path).items())]
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{path} gives the class {twice[0]!r} several weights; leave one")
    return {name: _weight(value, name, path) for name, value in pairs}


def example_weights(labels: Tensor, weights: Tensor | None, by_class: Tensor | None) -> Tensor | None:
    """Multiply the weights of examples by those of their classes; None for neither. [N], [N], [C] -> [N]."""
    if by_class is None:
        return weights
    own = by_class.to(labels.device)[labels]
    return own if weights is None else own * weights


def weights_of(weights: Tensor | None, rows: Tensor) -> Tensor | None:
    """Return the weights of rows, if there are any. [N], [B] -> [B]."""
    return None if weights is None else weights[rows]


def _from_csv(path: Path) -> Iterator[tuple[str, object]]:
    table = read_csv(path)
    for name, text in zip(table.column("class"), table.column("weight"), strict=True):
        try:
            yield name, float(text)
        except ValueError:
            yield name, text


def _weight(value: object, name: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UserError(f"the weight of the class {name!r} in {path} is {value!r}; it must be a number above 0")
    return float(value)


def _in_order(found: Mapping[str, float], classes: Sequence[str], source: str) -> Tensor:
    """Order weights as the classes are. Raises `UserError` for classes that one of both lacks. -> [C]."""
    missing, unknown = [each for each in classes if each not in found], [each for each in found if each not in classes]
    for names, what in ((unknown, "names classes that the data lack"), (missing, "has no weight for classes")):
        if names:
            listed = ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")
            known = ", ".join(map(repr, classes[:3])) + (", …" if len(classes) > 3 else "")
            raise UserError(f"{source} {what}: {listed}; the classes are {known}")
    return torch.tensor([found[each] for each in classes])
