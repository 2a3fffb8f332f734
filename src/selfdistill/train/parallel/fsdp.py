"""Weights sharded over ranks (FSDP), with their gradients and optimizer state."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.method.networks import Teacher
from selfdistill.metrics.cost import held_bytes
from selfdistill.step import Distiller
from selfdistill.step.compile import compile_blocks
from selfdistill.step.networks import CompanionNetwork
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.optimizer import make_optimizer
from selfdistill.train.optim.rollback import BufferSnapshot
from selfdistill.train.optim.settings import parameter_settings
from selfdistill.train.parallel import dtensors
from selfdistill.train.parallel.ddp import fusible
from selfdistill.train.parallel.wrap import find_blocks
from selfdistill.train.persist.checkpoint import State


class FSDPWeights:
    """A distiller sharded over ranks, and its optimizer, which updates the shards of this rank.

    The student and its companion networks are gathered block by block, during the pass through each block. Everything
    outside blocks (the classifier, all heads) is gathered for the whole step. Teachers, scalar parameters [] and
    buffers are replicated on each rank.
    """

    def __init__(self, distiller: Distiller, config: RunConfig, fabric: Fabric):
        self.distiller, self.num_shards = distiller.to(fabric.device), fabric.world_size
        self.device = fabric.device
        _broadcast_weights(distiller)
        self.on_meta = _on_meta(distiller)
        blocks = _find_blocks(distiller)
        self.gathered_bytes = _gathered_bytes(distiller, blocks)
        _shard(distiller, blocks, fabric.device.type)
        if config.compile:
            compile_blocks(blocks, config.compile_mode, config.seedless())
        self.shards = {each: dtensors.shard_parameter(each) for each in distiller.parameters() if each.requires_grad}
        settings = {self.shards[each]: setting for each, setting in parameter_settings(distiller, config).items()}
        optimizer = make_optimizer(settings, config, distiller.method.momentum_gap, fused=fusible(settings))
        self.run, self.optimizer = distiller, cast(Any, fabric.setup_optimizers(optimizer))  # one, not several
        self.buffers = BufferSnapshot(each for part in _sharded_modules(distiller) for each in part.buffers())

    def broadcast_buffers(self) -> None:
        """Broadcast the running statistics of rank 0."""
        copies = self.buffers.copy()
        for each in copies:
            dist.broadcast(each, src=0)
        self.buffers.restore(copies)

    @contextmanager
    def gradient_sync(self, last: bool) -> Iterator[None]:
        """Context of one forward and backward pass of an accumulated batch.

        Each of them reduce-scatters its gradients: full ones would need the memory that sharding saves. Raises
        `UserError` for a model that reads a block's weights outside the pass through the block.
        """
        try:
            yield
        except RuntimeError as error:
            if "DTensor" not in str(error):
                raise
            raise UserError(
                f"{self.distiller.anatomy.model} reads weights of a block outside that block's forward pass, while "
                "they are sharded over processes; use --strategy ddp, or another --model"
            ) from error

    def gradients(self, loss: Tensor, trained: list[Tensor]) -> list[Tensor | None]:
        """Compute the gradient of one loss [] for each parameter, averaged over ranks; None if it has none."""
        if loss.requires_grad:
            loss.backward(retain_graph=True)
            self.collect_gradients()
        own = [each.grad for each in trained]
        for each in trained:
            each.grad = None
        return own

    def collect_gradients(self) -> list[Tensor]:
        """Move the gradients after backward() to the shards of this rank, and return them."""
        for parameter, shard in self.shards.items():
            if isinstance(gradient := parameter.grad, DTensor):
                shard.grad, parameter.grad = gradient.to_local(), None
            elif gradient is not None:
                shard.grad = distributed.all_reduce_sum(gradient) / distributed.world_size()
        return [cast(Tensor, each.grad) for each in self.with_gradients()]

    def with_gradients(self) -> list[Tensor]:
        """Return the shards that have a gradient, in the order of `collect_gradients`."""
        return [each for each in self.shards.values() if each.grad is not None]

    def gradient_norm(self, gradients: list[Tensor]) -> Tensor:
        """Return the global norm of the gradients, over all ranks. -> []."""
        sharded, replicated = ([each for each in gradients if bool(each.dim()) is kind] for kind in (True, False))
        squares = distributed.all_reduce_sum(torch.nn.utils.get_total_norm(sharded).square())
        return (squares + torch.nn.utils.get_total_norm(replicated).to(squares).square()).sqrt()

    def local_shards(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Return the shards on this rank."""
        return [dtensors.local_shard(each) for each in tensors]

    def state_dict(self, module: nn.Module) -> State:
        """Gather the full state of a module of the distiller, weights on the CPU; a collective call."""
        return {key: dtensors.gather_full(value) for key, value in module.state_dict().items()}

    def optimizer_state(self) -> State:
        """Gather the full optimizer state; a collective call."""
        state: State = self.optimizer.state_dict()
        return state | {"state": self._map_optimizer_state(state, dtensors.gather_optimizer_state)}

    def full_param_groups(self) -> list[State]:
        """Return the optimizer's parameter groups, with parameters of full shape."""
        full = {shard: parameter for parameter, shard in self.shards.items()}
        return [group | {"params": [full[each] for each in group["params"]]} for group in self.optimizer.param_groups]

    def load_state_dict(self, module: nn.Module, state: State) -> None:
        """Load the full state of a module of the distiller into its shards."""
        own = module.state_dict()
        module.load_state_dict({key: dtensors.shard_like(value, own[key]) for key, value in state.items()})

    def load_optimizer_state(self, state: State) -> None:
        """Load a full optimizer state into shards."""
        shards = self._map_optimizer_state(
            state, lambda value, like: dtensors.local_shard(dtensors.shard_like(value, like))
        )
        self.optimizer.load_state_dict(state | {"state": shards})

    def gather_full(self) -> Distiller:
        """Return a copy of the distiller with full weights; a collective call."""
        made = deepcopy(self.on_meta, _shared_teachers(self.on_meta))
        for part, empty in zip(_sharded_modules(self.distiller), _sharded_modules(made), strict=True):
            empty.load_state_dict(self.state_dict(part), assign=True)
            for name, buffer in part.named_buffers():  # also non-persistent ones
                owner, _, own = name.rpartition(".")
                setattr(empty.get_submodule(owner), own, buffer.clone())
        return made.to(self.device)

    def _map_optimizer_state(self, state: State, change: Any) -> dict[int, State]:
        """Convert the optimizer state of each parameter between shards and full tensors."""
        order = [each for group in self.full_param_groups() for each in group["params"]]
        return {
            number: {key: change(value, order[number]) for key, value in kept.items()}
            for number, kept in state["state"].items()
        }


def _sharded_modules(distiller: Distiller) -> list[nn.Module]:
    """Return the modules that are sharded: all but teachers."""
    roles = distiller.method.networks
    living = [each for name, each in distiller.networks.items() if not isinstance(roles[name], Teacher)]
    return [distiller.student, distiller.terms, *living]


def _shared_teachers(distiller: Distiller) -> dict[int, nn.Module]:
    """Return a memo with which `deepcopy` shares the teachers instead of copying them."""
    roles = distiller.method.networks
    return {id(each): each for name, each in distiller.networks.items() if isinstance(roles[name], Teacher)}


def _broadcast_weights(distiller: Distiller) -> None:
    """Broadcast the weights of rank 0, in contiguous layout, which sharding needs."""
    for part in _sharded_modules(distiller):
        for each in (*part.parameters(), *part.buffers()):
            each.data = each.data.contiguous()
            dist.broadcast(each.data, src=0)


def _on_meta(distiller: Distiller) -> Distiller:
    """Copy a distiller to the meta device; teachers are shared."""
    copy = deepcopy(distiller, _shared_teachers(distiller))
    for part in _sharded_modules(copy):
        part.to("meta")
    return copy


def _find_blocks(distiller: Distiller) -> list[nn.Module]:
    """Find the blocks of all sharded networks; none holds the student's classifier, which terms may read."""
    inputs = distiller.example
    companions = [part.network for part in _sharded_modules(distiller) if isinstance(part, CompanionNetwork)]
    student = find_blocks(distiller.student, inputs, distiller.anatomy.classifier)
    return student + [block for network in companions for block in find_blocks(network, inputs)]


def _gathered_bytes(distiller: Distiller, blocks: list[nn.Module]) -> int:
    """Peak bytes of gathered weights on a rank: those outside blocks, one block, and the prefetched next one."""
    sizes = [held_bytes(each.parameters()) for each in blocks]
    total = sum(held_bytes(each.parameters()) for each in _sharded_modules(distiller))
    return total - sum(sizes) + 2 * max(sizes, default=0)


def _shard(distiller: Distiller, blocks: list[nn.Module], device: str) -> None:
    """Shard all weights but teachers and scalars: each block by itself, the rest as one group."""
    mesh = init_device_mesh(device, (dist.get_world_size(),))
    sharded = {each for part in _sharded_modules(distiller) for each in part.parameters() if each.dim()}
    for each in (*blocks, distiller):
        fully_shard(each, mesh=mesh, ignored_params={*distiller.parameters()} - sharded)
