"""Weights that each process holds whole: DDP makes their gradients the mean over ranks."""

from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from selfdistill import distributed
from selfdistill.step import Distiller
from selfdistill.step.compile import compile_distiller
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.dual_momentum import DualMomentumSGD, gradients_of
from selfdistill.train.optim.optimizer import make_optimizer
from selfdistill.train.persist.checkpoint import State


class DDPWeights:
    """A distiller that lies whole on each rank, and its optimizer. `run` makes its passes."""

    cut = 1  # into how many parts the weights are
    gathered = 0  # bytes of weights that are put together for a while

    def __init__(self, distiller: Distiller, config: RunConfig, fabric: Fabric):
        if config.compile:
            compile_distiller(distiller, config.compile_mode, config.seedless())
        optimizer = make_optimizer(
            distiller, config, distiller.method.momentum_gap, fused=fusible(distiller.parameters())
        )
        self.distiller, self.fabric = distiller, fabric
        self.run, self.optimizer = fabric.setup(distiller, optimizer)

    def agree(self) -> None:
        """Let all ranks have the first's running statistics; DDP sees to it by itself."""

    def passing(self, last: bool) -> AbstractContextManager[None]:
        """Around a part's pass and the finding of its gradients; they are exchanged with those of the `last`."""
        two = isinstance(
            self.optimizer.optimizer, DualMomentumSGD
        )  # whose gradients are exchanged where they are found
        return self.fabric.no_backward_sync(self.run, enabled=two or not last)

    def gradients(self, loss: Tensor, trained: list[Tensor]) -> list[Tensor | None]:
        """The gradient of one of several losses [], the mean over ranks; None where there is none."""
        # DDP reduces what backward() makes, and this is not that
        own = gradients_of(loss, trained)
        return [None if each is None else distributed.all_reduce_sum(each) / distributed.world_size() for each in own]

    def found(self) -> list[Tensor]:
        """The gradients that backward() has left."""
        return [each.grad for each in self.distiller.parameters() if each.grad is not None]

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The norm of all gradients together. -> []."""
        return torch.nn.utils.get_total_norm(gradients)

    def here(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Return the tensors on this rank: all of them."""
        return list(tensors)

    def state_dict(self, module: nn.Module) -> State:
        """The state of a part of the distiller, whole."""
        return module.state_dict()

    def optimizer_state(self) -> State:
        """The optimizer's state, whole."""
        state: State = self.optimizer.state_dict()
        return state

    def load_state_dict(self, module: nn.Module, state: State) -> None:
        """Give a part of the distiller its state."""
        module.load_state_dict(state)

    def take_up_optimizer(self, state: State) -> None:
        """Give the optimizer its state."""
        self.optimizer.load_state_dict(state)

    def whole(self) -> Distiller:
        """The distiller as one process would have it; all ranks must call this."""
        return self.distiller


def fusible(parameters: Iterable[Tensor]) -> bool:
    """Return whether torch has a fused kernel for the update: a third of the time, equal up to rounding."""
    return all(each.device.type in ("cpu", "cuda", "mps") and each.is_floating_point() for each in parameters)
