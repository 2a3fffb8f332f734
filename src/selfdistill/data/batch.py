"""Batch: images, labels, and the extra tensors that a method requires."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor


class Mix(NamedTuple):
    """Weights and partners by which the rows of a batch are mixed."""

    shares: Tensor  # [B, n] weights; each row sums to 1
    partners: Tensor  # [B, n] rows of the batch; the first column is the row itself
    region: Tensor | None = None  # [H, W] CutMix: True where a row keeps its own pixels; n is 2


class Batch(NamedTuple):
    """A training batch: images, hard class ids, and the tensors that the method requires.

    `sd.loader` yields batches, and the object that `sd.teach` returns takes one in place of images and labels.

    >>> images, labels = torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
    >>> batch = sd.Batch(images, labels, extra={"peer": images[[2, 3, 0, 1]]})
    >>> batch.extra["peer"].shape
    torch.Size([4, 3, 8, 8])
    """

    images: Tensor  # [B, 3, H, W] float; mixed where `mix` says so
    labels: Tensor  # [B] int64 class ids
    index: Tensor | None = None  # type: ignore[assignment]  # [B] int64 places in the data set; hides tuple.index
    mix: Mix | None = None
    extra: Mapping[str, Tensor] = MappingProxyType({})  # [B, …] each, as required: clean, peer, twin, last …
