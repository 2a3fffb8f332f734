"""Standardization of inputs: (x - mean) / std of each channel."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from selfdistill.data.augment import Augmentation
from selfdistill.data.examples import TensorInputs, TensorSplits, is_standardized


@dataclass(frozen=True)
class Standardization:
    """Mean and standard deviation of each channel of each input of values; "" names a single input.

    `views` augments standardized images in training; None for none.
    """

    mean: Mapping[str, tuple[float, ...]]
    std: Mapping[str, tuple[float, ...]]
    views: Augmentation | None = None

    def normalize(self, inputs: TensorInputs) -> TensorInputs:
        """Standardize floats and unsigned bytes, as float32; ids and masks stay. [B, C, …] each.

        >>> Standardization({"": (1.0,)}, {"": (2.0,)}).normalize(torch.tensor([[5.0]]))
        tensor([[2.]])
        """
        if isinstance(inputs, Tensor):
            return self._standardized("", inputs)
        return {name: self._standardized(name, each) for name, each in inputs.items()}

    def _standardized(self, name: str, values: Tensor) -> Tensor:
        if not is_standardized(values):
            return values
        shape = (-1, *(1,) * (values.dim() - 2))
        mean, std = (_on_device(each[name], values.device).view(shape) for each in (self.mean, self.std))
        return (values.float() - mean) / std


@functools.lru_cache(64)
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copy the values of channels to a device once, not once a batch."""
    return torch.tensor(values, device=device)


def default_standardization(splits: TensorSplits) -> Standardization:
    """Standardization by the training examples."""
    return Standardization(splits.mean, splits.std)
