"""DTensors: shard and gather parameters and optimizer state."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def local_shard(value: Tensor) -> Tensor:
    """Return the shard of a tensor on this rank."""
    return value.to_local() if isinstance(value, DTensor) else value


def shard_parameter(parameter: nn.Parameter) -> nn.Parameter:
    """Return the shard of a parameter on this rank, as a parameter that shares its memory."""
    return nn.Parameter(parameter.to_local().detach()) if isinstance(parameter, DTensor) else parameter


@torch.no_grad()
def gather_full(value: Any) -> Any:
    """Gather a sharded value from all ranks onto the CPU; others pass unchanged. A collective call."""
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def gather_optimizer_state(value: Any, like: Tensor) -> Any:
    """Gather the optimizer state of a parameter that is sharded like `like`; a collective call."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.to_local().shape:
        return value
    mesh, placements = like.device_mesh, like.placements
    return gather_full(
        DTensor.from_local(value, mesh, placements, run_check=False, shape=like.shape, stride=like.stride())
    )


def shard_like(value: Any, like: Tensor) -> Any:
    """Shard a full value like another tensor; each rank takes its own shard, without communication."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
