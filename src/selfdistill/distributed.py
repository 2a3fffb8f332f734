"""Collective operations across ranks (no-ops in a single process)."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from selfdistill.errors import UserError

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the rank of this process; rank 0 writes the files."""
    return dist.get_rank() if world_size() > 1 else 0


@torch.no_grad()
def all_reduce_sum(values: Tensor) -> Tensor:
    """Sum a tensor over all ranks, without gradient; shapes must be equal.

    >>> all_reduce_sum(torch.tensor([1.0, 2.0]))  # in a single process
    tensor([1., 2.])
    """
    if world_size() == 1:
        return values.detach()
    total = values.detach().clone()
    dist.all_reduce(total)
    return total


@torch.no_grad()
def all_gather(values: Tensor) -> Tensor:
    """Concatenate the rows of all ranks by rank, without gradient; shapes must be equal. [B, …] -> [R·B, …]."""
    if world_size() == 1:
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


@torch.no_grad()
def all_reduce_max(values: Tensor) -> Tensor:
    """Compute the elementwise maximum of a tensor over all ranks; shapes must be equal."""
    if world_size() == 1:
        return values.detach()
    maximum = values.detach().clone()
    dist.all_reduce(maximum, dist.ReduceOp.MAX)
    return maximum


def all_true(flag: Tensor) -> Tensor:
    """Compute the logical and of a flag [] over all ranks. -> []."""
    return flag if world_size() == 1 else all_reduce_max((~flag).float()) == 0


def all_gather_object(value: T) -> list[T]:
    """Gather a picklable value of every rank, ordered by rank; a collective call."""
    values = [value] * world_size()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def on_rank_zero(work: Callable[[], T]) -> T:
    """Run `work` on rank 0 and broadcast its result; a `UserError` is raised on all ranks."""
    if world_size() == 1:
        return work()
    outcome: list[object] = [None, None]  # result, text of the error
    if rank() == 0:
        try:
            outcome[0] = work()
        except UserError as error:
            outcome[1] = str(error)
    dist.broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise UserError(str(outcome[1]))
    return cast("T", outcome[0])


def is_lost_rank(error: RuntimeError) -> bool:
    """Return True for the errors that collectives raise when another rank has died."""
    words = str(error).lower()
    return world_size() > 1 and (isinstance(error, dist.DistError) or "gloo" in words or "closed by peer" in words)
