"""A batch: images, labels, and what else the method's terms asked of the data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

Asked = Any  # a tensor where a term declares that it reads it; where none does it may be None


class Mix(NamedTuple):
    """How each row of a batch is mixed from several of its rows."""

    shares: Tensor  # [B, n] weights; each row sums to 1
    partners: Tensor  # [B, n] rows of the batch; the first column is the row itself
    region: Tensor | None = None  # [H, W] where a row shows itself, if parts are pasted and not blended; n is 2


class Batch(NamedTuple):
    """What the loader delivers: hard class ids always, and whatever else was asked of the data."""

    images: Tensor  # [B, 3, H, W], mixed where `mix` says so
    labels: Tensor  # [B] class ids
    index: Asked = None  # [B] places in the data set
    mix: Mix | None = None
    extra: Mapping[str, Tensor] = MappingProxyType({})  # what else was asked for: clean, peer, twin, last …
