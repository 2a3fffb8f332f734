"""Order of the rows in each epoch, split into steps and over ranks, and the rows that a method needs beside them."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from selfdistill.data.class_index import ClassIndex
from selfdistill.data.rank_batches import fitting_batch_size, rank_slice
from selfdistill.data.requirements import (
    ClassGroups,
    ExtraAugmentation,
    Need,
    Negatives,
    PlainView,
    SameClassImage,
    StrongView,
)
from selfdistill.errors import UserError
from selfdistill.inputs import Inputs
from selfdistill.rng import make_generator

Made = TypeVar("Made", bound=Inputs)


class EpochOrder:
    """Order of the rows of each epoch and this rank's part of each step.

    It depends only on the seed and on groups of a class that a method needs, not on the number of ranks: it is drawn
    for all rows and split. Negatives are drawn per rank. Each epoch can be drawn again, so resuming needs no state.
    The last incomplete batch is dropped, unless it is the only one. `labels` [N] are read where a method pairs rows by
    class, and for a `balanced` order, which has every class equally often. Raises `UserError` if the batch size is not
    a multiple of `ranks`, or for groups that do not fill a batch.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        *,
        labels: Tensor | None = None,
        needs: Mapping[str, Need] | None = None,
        seed: int = 0,
        drop_last: bool = True,
        balanced: bool = False,
        rank: int = 0,
        ranks: int = 1,
        device: torch.device | str = "cpu",
    ):
        self.count, self.batch_size = rows, fitting_batch_size(batch_size, rows, ranks)
        self.labels, self.needs, self.seed, self.drop_last = labels, dict(needs or {}), seed, drop_last
        self.balanced = balanced
        self.rank, self.ranks, self.device = rank, ranks, device
        self.rows = functools.lru_cache(2)(self._draw)  # drawn once an epoch, not once a step
        self.placed = functools.lru_cache(2)(lambda epoch: self.rows(epoch).to(device))
        self.peers = functools.lru_cache(2)(self._draw_peers)
        _require_whole_groups(self.needs.get("order"), self.batch_size // ranks)
        self.rows(0)  # raises an unmet requirement

    def __len__(self) -> int:
        """Steps of an epoch."""
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest >= self.ranks and not self.drop_last)

    @functools.cached_property
    def class_index(self) -> ClassIndex:
        """Rows of each class, on the CPU."""
        if self.labels is None:
            raise UserError("the method pairs examples of one class, but these have tags or pixels; use another method")
        return ClassIndex(self.labels.cpu())

    def slice(self, step: int) -> slice:
        """Slice of the epoch's order with this rank's rows of a step."""
        return rank_slice(step, self.batch_size, self.count, self.rank, self.ranks)

    def ahead(self, epoch: int, step: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield epoch and step of `count` steps from this one on, beyond the end of the epoch too."""
        for place in range(step, step + count):
            yield (epoch, place) if place < len(self) else (epoch + 1, place - len(self))

    def previous(self, epoch: int, step: int) -> tuple[int, int]:
        """Return epoch and step of the step before; at the very first step the same."""
        if step > 0:
            return epoch, step - 1
        return (epoch - 1, len(self) - 1) if epoch > 0 else (epoch, step)

    def negatives(self, epoch: int, step: int, count: int) -> Tensor:
        """Draw rows of other classes for this rank's rows. -> [B, count]."""
        draws = make_generator(self.seed, "negatives", epoch, step, self.rank)
        drawn = self.class_index.negatives(self.rows(epoch)[self.slice(step)], count, draws)
        return drawn.to(self.device, non_blocking=True)

    def _draw(self, epoch: int) -> Tensor:
        """Draw the order of an epoch's rows, balanced or grouped by class if required. -> [N]."""
        if self.balanced:
            return self.class_index.balanced(self.count, make_generator(self.seed, "balanced", epoch))
        draws = make_generator(self.seed, "order", epoch)
        order = torch.randperm(self.count, generator=draws)
        match self.needs.get("order"):
            case ClassGroups(others):
                anchors = order[: -(-len(order) // (1 + others))]
                order = self.class_index.groups(anchors, others, draws).flatten()[: len(order)]
        return order

    def _draw_peers(self, epoch: int, itself: bool) -> Tensor:
        """Draw a row of its class for each row of the order. -> [N] on the device."""
        drawn = self.class_index.same_class(self.rows(epoch), make_generator(self.seed, "peer", epoch), itself)
        return drawn.to(self.device)


def extra_inputs(
    order: EpochOrder,
    epoch: int,
    step: int,
    inputs: Callable[[Tensor, int, int, str], Made],
    labels: Callable[[int, int], Tensor],
) -> dict[str, Made | Tensor]:
    """Build the extra inputs that a method requires of a step.

    `inputs(rows, epoch, step, stream)` makes those of this rank's part of the rows [N] of an epoch, augmented by a
    random stream; `labels(epoch, step)` are those of this rank's rows.
    """
    extra: dict[str, Made | Tensor] = {}
    for key, need in order.needs.items():
        match key, need:
            case "peer", SameClassImage(itself):
                extra["peer"] = inputs(order.peers(epoch, itself), epoch, step, "peer")
            case "twin", ExtraAugmentation():
                extra |= {name: inputs(order.placed(epoch), epoch, step, name) for name in need.names}
            case ("strong", StrongView()) | ("plain", PlainView()):
                extra[key] = inputs(order.placed(epoch), epoch, step, key)
            case "last", _:
                earlier = order.previous(epoch, step)
                extra["last"] = inputs(order.placed(earlier[0]), *earlier, "last")
                extra["last_labels"] = labels(*earlier)
            case "negatives", Negatives(count):
                extra["negatives"] = order.negatives(epoch, step, count)
    return extra


def _require_whole_groups(order: Need | None, rows: int) -> None:
    match order:
        case ClassGroups(others) if rows % (1 + others):
            raise UserError(
                f"groups of {1 + others} images do not fill a batch of {rows} rows; "
                f"use a --batch-size that is a multiple of {1 + others}"
            )
