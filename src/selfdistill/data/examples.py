"""Examples that are tensors, of one or several inputs, with labels; and their splits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from selfdistill.inputs import Inputs, map_tensors, tensors
from selfdistill.records import DataFingerprint
from selfdistill.task import TaskName

BLOCK = 1024  # rows per update of a mean
SMALLEST_STD = 1e-6

TensorInputs: TypeAlias = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs and labels in memory: a map-style data set of (inputs, label).

    >>> len(Examples(torch.zeros(4, 2, 16), torch.zeros(4, dtype=torch.long)).rows(torch.tensor([0, 2])))
    2
    """

    inputs: TensorInputs  # N rows in each tensor: float32, uint8, int64 or bool
    labels: Tensor  # [N] class ids, [N, T] tags, or [N, H, W] class ids of pixels; -100 where unknown
    weights: Tensor | None = None  # [N] of the examples in losses of labels; None: equal

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Inputs, Tensor]:
        return map_tensors(lambda each: each[row], self.inputs), self.labels[row]

    def rows(self, index: Tensor) -> "Examples":
        """Select rows in the given order. index [M]."""
        weights = None if self.weights is None else self.weights[index]
        return Examples(map_tensors(lambda each: each[index], self.inputs), self.labels[index], weights)

    def index_blocks(self, rows: int) -> Iterator[Tensor]:
        """Iterate over indices of all rows in blocks. -> [rows] or fewer."""
        yield from torch.split(torch.arange(len(self)), rows)


@dataclass(frozen=True, eq=False)
class TensorSplits:
    """A data set of tensors with its training, validation and test examples."""

    train: Examples
    validation: Examples | None
    test: Examples
    classes: tuple[str, ...]
    name: str
    task: TaskName
    fingerprint: DataFingerprint | None = None  # of the file
    notes: tuple[str, ...] = ()  # sentences on what was left out, or read in a way that may surprise
    skipped: tuple[str, ...] = ()  # always empty: a file is read as a whole

    @cached_property
    def mean(self) -> Mapping[str, tuple[float, ...]]:
        """Mean of each channel of each input of values, over the training examples; "" names a single input."""
        return {name: tuple(mean.tolist()) for name, (mean, _) in self._statistics.items()}

    @cached_property
    def std(self) -> Mapping[str, tuple[float, ...]]:
        """Standard deviation of each channel, likewise; 1 for a channel of one value."""
        return {name: tuple(std.tolist()) for name, (_, std) in self._statistics.items()}

    @cached_property
    def _statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        found = named_inputs(self.train.inputs)
        return {name: channel_statistics(each) for name, each in found.items() if is_standardized(each)}


def named_inputs(inputs: TensorInputs) -> Mapping[str, Tensor]:
    """Return inputs by name; a single tensor has the name ""."""
    return {"": inputs} if isinstance(inputs, Tensor) else inputs


def is_standardized(values: Tensor) -> bool:
    """Return whether an input holds values (floats and unsigned bytes), not ids or a mask."""
    return values.is_floating_point() or values.dtype == torch.uint8


def channel_statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, in float64. [N, C, …] -> [C], [C].

    A channel of one value has a deviation of 1.

    >>> channel_statistics(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
    (tensor([1., 5.], dtype=torch.float64), tensor([1., 1.], dtype=torch.float64))
    """
    blocks = torch.split(values, BLOCK)
    count = values[:, 0].numel()
    mean = sum((_channels(each).sum(dim=1) for each in blocks), start=torch.zeros(())) / count
    squares = sum(((_channels(each) - mean[:, None]).square().sum(dim=1) for each in blocks), start=torch.zeros(()))
    std = (squares / count).sqrt()
    return mean, torch.where(std > SMALLEST_STD * mean.abs().clamp(min=1), std, 1.0)


def _channels(values: Tensor) -> Tensor:
    """[B, C, …] -> [C, B·…] float64."""
    return values.double().transpose(0, 1).flatten(1)


def nbytes(examples: Examples) -> int:
    """Return the size in bytes."""
    return sum(each.nbytes for each in (*tensors(examples.inputs), examples.labels))
