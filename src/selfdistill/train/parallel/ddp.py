"""Weights replicated on each rank (DDP); gradients are averaged over ranks."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from selfdistill import distributed
from selfdistill.step import Distiller
from selfdistill.step.compile import compile_distiller
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.dual_momentum import DualMomentumSGD, gradients_of
from selfdistill.train.optim.optimizer import make_optimizer
from selfdistill.train.optim.settings import parameter_settings
from selfdistill.train.persist.checkpoint import State


class DDPWeights:
    """A distiller replicated on each rank, and its optimizer; `run` is the module to call."""

    num_shards = 1
    gathered_bytes = 0  # peak of temporarily gathered weights

    def __init__(self, distiller: Distiller, config: RunConfig, fabric: Fabric):
        if config.compile:
            compile_distiller(distiller, config.compile_mode, config.seedless())
        settings = parameter_settings(distiller, config)
        optimizer = make_optimizer(
            settings, config, distiller.method.momentum_gap, fused=fusible(distiller.parameters())
        )
        self.distiller, self.fabric = distiller, fabric
        self.run, self.optimizer = fabric.setup(distiller, optimizer)

    def broadcast_buffers(self) -> None:
        """Broadcast the running statistics of rank 0; DDP does it in each forward pass."""

    def gradient_sync(self, last: bool) -> AbstractContextManager[None]:
        """Context of one forward and backward pass of an accumulated batch; the last one all-reduces the gradients."""
        dual = isinstance(self.optimizer.optimizer, DualMomentumSGD)  # `gradients` all-reduces for it
        return self.fabric.no_backward_sync(self.run, enabled=dual or not last)

    def gradients(self, loss: Tensor, trained: list[Tensor]) -> list[Tensor | None]:
        """Compute the gradient of one loss [] for each parameter, averaged over ranks; None if it has none."""
        # DDP all-reduces in backward(), which is not called here
        own = gradients_of(loss, trained)
        return [None if each is None else distributed.all_reduce_sum(each) / distributed.world_size() for each in own]

    def collect_gradients(self) -> list[Tensor]:
        """Return the gradients after backward()."""
        return [cast(Tensor, each.grad) for each in self.with_gradients()]

    def with_gradients(self) -> list[Tensor]:
        """Return the parameters that have a gradient, in the order of `collect_gradients`."""
        return [each for each in self.distiller.parameters() if each.grad is not None]

    def gradient_norm(self, gradients: list[Tensor]) -> Tensor:
        """Return the global norm of the gradients. -> []."""
        return torch.nn.utils.get_total_norm(gradients)

    def local_shards(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Return the tensors: each rank has them in full."""
        return list(tensors)

    def state_dict(self, module: nn.Module) -> State:
        """Return the full state of a module of the distiller."""
        return module.state_dict()

    def optimizer_state(self) -> State:
        """Return the full optimizer state."""
        state: State = self.optimizer.state_dict()
        return state

    def full_param_groups(self) -> list[State]:
        """Return the optimizer's parameter groups."""
        groups: list[State] = self.optimizer.param_groups
        return groups

    def load_state_dict(self, module: nn.Module, state: State) -> None:
        """Load the full state of a module of the distiller."""
        module.load_state_dict(state)

    def load_optimizer_state(self, state: State) -> None:
        """Load a full optimizer state."""
        self.optimizer.load_state_dict(state)

    def gather_full(self) -> Distiller:
        """Return the distiller with full weights; a collective call."""
        return self.distiller


def fusible(parameters: Iterable[Tensor]) -> bool:
    """Return True if torch has a fused kernel for the update: a third of the time, equal up to rounding."""
    return all(each.device.type in ("cpu", "cuda", "mps") and each.is_floating_point() for each in parameters)
