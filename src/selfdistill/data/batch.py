"""Batch: inputs, labels, and the extra inputs that a method requires."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from selfdistill.inputs import Inputs


class Mix(NamedTuple):
    """Weights and partners by which the rows of a batch are mixed."""

    shares: Tensor  # [B, n] weights; each row sums to 1
    partners: Tensor  # [B, n] rows of the batch; the first column is the row itself
    region: Tensor | None = None  # [H, W] CutMix: True where a row keeps its own values; n is 2


class Batch(NamedTuple):
    """A training batch: inputs of the model, hard class ids, and the tensors that the method requires.

    `sd.loader` yields batches, and the object that `sd.teach` returns takes one in place of inputs and labels. Inputs
    are a tensor such as images [B, C, H, W], a tuple of the model's arguments, or a mapping of its keywords.

    >>> images, labels = torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
    >>> batch = sd.Batch(images, labels, extra={"peer": images[[2, 3, 0, 1]]})
    >>> batch.extra["peer"].shape
    torch.Size([4, 3, 8, 8])
    """

    inputs: Inputs  # B rows in each tensor; mixed where `mix` says so
    labels: Tensor  # [B] int64 class ids
    index: Tensor | None = None  # type: ignore[assignment]  # [B] int64 places in the data set; hides tuple.index
    mix: Mix | None = None
    extra: Mapping[str, Inputs] = MappingProxyType({})  # as required: clean, peer, twin, strong, plain, last …
    share: Tensor | None = None  # [] labelled pixels or tags here, over the mean of all processes and parts; None: 1
    weights: Tensor | None = None  # [B] of the examples in losses of labels, relative to one another; None: equal
