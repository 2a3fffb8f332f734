"""Tensors that lie in parts on the ranks: made whole, and cut again."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def local(value: Tensor) -> Tensor:
    """Return the shard of a tensor on this rank."""
    return value.to_local() if isinstance(value, DTensor) else value


def held(parameter: nn.Parameter) -> nn.Parameter:
    """The part of a parameter that lies here, as one of its own in the same memory."""
    return nn.Parameter(parameter.to_local().detach()) if isinstance(parameter, DTensor) else parameter


@torch.no_grad()
def whole(value: Any) -> Any:
    """A value, put together from all ranks, and on the CPU, where it lies in parts; all must call this."""
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def joined(value: Any, like: Tensor) -> Any:
    """Gather the optimizer state of a sharded parameter from all ranks."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.to_local().shape:
        return value
    mesh, placements = like.device_mesh, like.placements
    return whole(DTensor.from_local(value, mesh, placements, run_check=False, shape=like.shape, stride=like.stride()))


def cut(value: Any, like: Tensor) -> Any:
    """A whole value, cut as another tensor is; no rank asks another."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
