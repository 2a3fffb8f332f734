"""What the ranks of one run know together."""

import torch
import torch.distributed as dist
from torch import Tensor


def count() -> int:
    """How many processes train together; 1 where no process group was started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


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
