"""Training and evaluation batches of tensors, standardized, with what a method requires beside them."""

import functools
import warnings
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from selfdistill.data.augment import AugmentParams
from selfdistill.data.batch import Batch
from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.class_weights import weights_of
from selfdistill.data.epoch_order import EpochOrder, extra_inputs
from selfdistill.data.examples import Examples, TensorInputs
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.requirements import Need
from selfdistill.data.standardization import Standardization
from selfdistill.errors import UserError
from selfdistill.inputs import map_tensors
from selfdistill.rng import make_generator

STRONG = "the method reads a strong view of each image, but arrays have no colors to change; use another method or view"
TWINS = "the method compares augmentations of an example, but these tensors are not augmented, so that all are equal"


class TensorLoader:
    """Training batches of `batch_size` rows over all ranks, in a new order each epoch.

    The order is that of `EpochOrder`. Without random views of images, further augmentations of an example ("twin") are
    equal to it, which a warning says; strong views are refused. Mixing, erasing and negatives are drawn per rank. The
    last incomplete batch is dropped, unless it is the only one. Raises `UserError` if the batch size is not a multiple
    of `ranks`, or the data does not meet `needs`.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        *,
        augment: Standardization,
        mixing: Mixing | CellExchange | None = None,
        erasing: Erasing | None = None,
        needs: Mapping[str, Need] | None = None,
        seed: int = 0,
        drop_last: bool = True,
        balanced: bool = False,
        rank: int = 0,
        ranks: int = 1,
        device: torch.device | str = "cpu",
    ):
        if "strong" in (needs or {}):
            raise UserError(STRONG)
        self.examples = _on_device(examples, device)
        self.augment, self.mixing, self.erasing, self.seed, self.device = augment, mixing, erasing, seed, device
        self.order = EpochOrder(
            len(examples),
            batch_size,
            labels=examples.labels if examples.labels.dim() == 1 else None,
            needs=needs,
            seed=seed,
            drop_last=drop_last,
            balanced=balanced,
            rank=rank,
            ranks=ranks,
            device=device,
        )
        self.batch_size, self.needs = self.order.batch_size, self.order.needs
        self.rank, self.ranks = rank, ranks
        self._params = functools.lru_cache(8)(self._draw_params)
        self._extra(0, 0)  # raises unmet requirements before the first step
        if "twin" in self.needs and augment.views is None:
            warnings.warn(TWINS, stacklevel=2)

    def __len__(self) -> int:
        return len(self.order)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of an epoch from step `start` on; repeatable."""
        for step in range(start, len(self)):
            order, rows = self.order.placed(number), self.order.slice(step)
            batch = Batch(self._inputs(order, number, step, "augment"), self._labels(number, step), order[rows])
            batch = batch._replace(weights=weights_of(self.examples.weights, order[rows]))
            yield self._mixed(batch._replace(extra=self._extra(number, step)), number, step)

    def _extra(self, epoch: int, step: int) -> dict[str, TensorInputs | Tensor]:
        return extra_inputs(self.order, epoch, step, self._inputs, self._labels)

    def _inputs(self, order: Tensor, epoch: int, step: int, stream: str) -> TensorInputs:
        """Standardize this rank's rows of a step, and augment images by a random stream; "plain" draws nothing."""
        place = self.order.slice(step)
        rows, views = order[place], self.augment.views
        inputs = self.augment.normalize(map_tensors(lambda each: each[rows], self.examples.inputs))
        if views is None or stream == "plain" or not isinstance(inputs, Tensor):
            return inputs
        return views(inputs, self._params(epoch, stream).rows(place))

    def _draw_params(self, epoch: int, stream: str) -> AugmentParams:
        assert self.augment.views is not None
        drawn = self.augment.views.draw(len(self.examples), make_generator(self.seed, stream, epoch))
        return drawn.to(self.device)

    def _labels(self, epoch: int, step: int) -> Tensor:
        labels = self.examples.labels[self.order.placed(epoch)[self.order.slice(step)]]
        return labels.long() if labels.dtype == torch.int16 else labels

    def _mixed(self, batch: Batch, epoch: int, step: int) -> Batch:
        """Apply erasing and mixing."""
        for name, change in (("erase", self.erasing), ("mix", self.mixing)):
            if change is not None:
                batch = change(batch, make_generator(self.seed, name, epoch, step, self.rank))
        return batch


def tensor_batches(
    examples: Examples, batch_size: int, augment: Standardization, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Iterate over all examples in order, standardized, including the last incomplete batch."""
    for rows in examples.index_blocks(batch_size):
        part = _on_device(examples.rows(rows), device)
        labels = part.labels.long() if part.labels.dtype == torch.int16 else part.labels
        yield Batch(augment.normalize(part.inputs), labels, rows.to(device))


def _on_device(examples: Examples, device: torch.device | str) -> Examples:
    inputs, labels = map_tensors(lambda each: each.to(device), examples.inputs), examples.labels.to(device)
    return Examples(inputs, labels, None if examples.weights is None else examples.weights.to(device))
