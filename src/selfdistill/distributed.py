"""What the ranks of one run know together."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from selfdistill.errors import UserError


def count() -> int:
    """How many processes train together; 1 where no process group was started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def index() -> int:
    """Which of them this process is; 0 is the first, which writes the files."""
    return dist.get_rank() if count() > 1 else 0


@torch.no_grad()
def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, without gradient; the shape must be equal on each."""
    if count() == 1:
        return values.detach()
    total = values.detach().clone()
    dist.all_reduce(total)
    return total


@torch.no_grad()
def gathered(values: Tensor) -> Tensor:
    """The rows of all ranks in their order, without gradient; the shape must be equal on each. [B, …] -> [R·B, …]."""
    if count() == 1:
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(count())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


@torch.no_grad()
def all_reduce_max(values: Tensor) -> Tensor:
    """The largest of all ranks' values, one by one; the shape must be equal on each."""
    if count() == 1:
        return values.detach()
    most = values.detach().clone()
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return most


def all_true(flag: Tensor) -> Tensor:
    """Whether a flag [] is true on every rank. -> []."""
    return flag if count() == 1 else all_reduce_max((~flag).float()) == 0


def all_gather_object(value: Any) -> list[Any]:
    """The value of every rank in their order; all must call this."""
    values = [value] * count()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def on_rank_zero(work: Callable[[], Any]) -> Any:
    """What this work gives on the first rank, where alone it is done; a `UserError` is raised on all."""
    if count() == 1:
        return work()
    found: list[Any] = [None, None]
    if index() == 0:
        try:
            found[0] = work()
        except UserError as error:
            found[1] = str(error)
    dist.broadcast_object_list(found)
    if found[1] is not None:
        raise UserError(found[1])
    return found[0]


def lost(error: RuntimeError) -> bool:
    """Whether this is what is raised where another rank is gone."""
    words = str(error).lower()
    return count() > 1 and (isinstance(error, dist.DistError) or "gloo" in words or "closed by peer" in words)
