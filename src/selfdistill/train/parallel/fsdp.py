"""Weights of which each process holds a part (FSDP); gradients and the optimizer's state are cut alike."""

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
from selfdistill.train.parallel import dtensors
from selfdistill.train.parallel.ddp import fusible
from selfdistill.train.parallel.wrap import blocks
from selfdistill.train.persist.checkpoint import State


class FSDPWeights:
    """A distiller of which each rank holds a part, and its optimizer, which moves that part alone.

    The student and the copies and peers beside it are gathered block by block, while a pass is in the block. What is
    in no block, and with it the classifier and all heads, is gathered for the whole of a step. Teachers, single numbers
    [] and buffers lie whole on each rank.
    """

    def __init__(self, distiller: Distiller, config: RunConfig, fabric: Fabric):
        self.distiller, self.cut = distiller.to(fabric.device), fabric.world_size
        self.device = fabric.device
        _make_alike(distiller)
        self.outline = _outline(distiller)
        found = _blocks(distiller)
        self.gathered = _gathered(distiller, found)
        _cut(distiller, found, fabric.device.type)
        if config.compile:
            compile_blocks(found, config.compile_mode, config.seedless())
        self.shards = {each: dtensors.held(each) for each in distiller.parameters() if each.requires_grad}
        held = nn.ParameterList(self.shards.values())
        optimizer = make_optimizer(held, config, distiller.method.momentum_gap, fused=fusible(held))
        self.run, self.optimizer = distiller, cast(Any, fabric.setup_optimizers(optimizer))  # one, not several
        self.buffers = BufferSnapshot(each for part in _parts(distiller) for each in part.buffers())

    def agree(self) -> None:
        """Let all ranks have the first's running statistics."""
        copies = self.buffers.copied()
        for each in copies:
            dist.broadcast(each, src=0)
        self.buffers.put(copies)

    @contextmanager
    def passing(self, last: bool) -> Iterator[None]:
        """Around a part's pass and the finding of its gradients, which are exchanged with each: whole they are large.

        Raises `UserError` where one block's weights are read while another's pass is made.
        """
        try:
            yield
        except RuntimeError as error:
            if "DTensor" not in str(error):
                raise
            raise UserError(
                f"{self.distiller.anatomy.model} reads weights of a block outside that block's own pass, while they "
                "lie in parts on all processes; share the work by --strategy ddp, or take another --model"
            ) from error

    def gradients(self, loss: Tensor, trained: list[Tensor]) -> list[Tensor | None]:
        """The gradient of one of several losses [], the mean over ranks; None where there is none."""
        if loss.requires_grad:
            loss.backward(retain_graph=True)
            self.found()
        own = [each.grad for each in trained]
        for each in trained:
            each.grad = None
        return own

    def found(self) -> list[Tensor]:
        """The gradients that backward() has left, of what lies here."""
        for parameter, shard in self.shards.items():
            if isinstance(gradient := parameter.grad, DTensor):
                shard.grad, parameter.grad = gradient.to_local(), None
            elif gradient is not None:
                shard.grad = distributed.all_reduce_sum(gradient) / distributed.world_size()
        return [each.grad for each in self.shards.values() if each.grad is not None]

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The norm of all gradients together, over all ranks. -> []."""
        parts, wholes = ([each for each in gradients if bool(each.dim()) is in_parts] for in_parts in (True, False))
        squares = distributed.all_reduce_sum(torch.nn.utils.get_total_norm(parts).square())
        return (squares + torch.nn.utils.get_total_norm(wholes).to(squares).square()).sqrt()

    def here(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Return the shards on this rank."""
        return [dtensors.local(each) for each in tensors]

    def state_dict(self, module: nn.Module) -> State:
        """The state of a part of the distiller, whole and its weights on the CPU; all ranks must call this."""
        return {key: dtensors.whole(value) for key, value in module.state_dict().items()}

    def optimizer_state(self) -> State:
        """The optimizer's state, whole; all ranks must call this."""
        state: State = self.optimizer.state_dict()
        return state | {"state": self._each_kept(state, dtensors.joined)}

    def load_state_dict(self, module: nn.Module, state: State) -> None:
        """Give a part of the distiller its state."""
        own = module.state_dict()
        module.load_state_dict({key: dtensors.cut(value, own[key]) for key, value in state.items()})

    def take_up_optimizer(self, state: State) -> None:
        """Give the optimizer its state."""
        cut = self._each_kept(state, lambda value, like: dtensors.local(dtensors.cut(value, like)))
        self.optimizer.load_state_dict(state | {"state": cut})

    def whole(self) -> Distiller:
        """A distiller as one process would have it, with the weights of now; all ranks must call this."""
        made = deepcopy(self.outline, _teachers(self.outline))
        for part, empty in zip(_parts(self.distiller), _parts(made), strict=True):
            empty.load_state_dict(self.state_dict(part), assign=True)
            for name, buffer in part.named_buffers():  # also those that are in no state
                owner, _, own = name.rpartition(".")
                setattr(empty.get_submodule(owner), own, buffer.clone())
        return made.to(self.device)

    def _each_kept(self, state: State, change: Any) -> dict[int, State]:
        """Convert the optimizer state of each parameter between shards and whole tensors."""
        wholes = {shard: parameter for parameter, shard in self.shards.items()}
        order = [wholes[each] for group in self.optimizer.param_groups for each in group["params"]]
        return {
            number: {key: change(value, order[number]) for key, value in kept.items()}
            for number, kept in state["state"].items()
        }


def _parts(distiller: Distiller) -> list[nn.Module]:
    """Return the modules that are sharded: all but teachers."""
    roles = distiller.method.networks
    living = [each for name, each in distiller.networks.items() if not isinstance(roles[name], Teacher)]
    return [distiller.student, distiller.terms, *living]


def _teachers(distiller: Distiller) -> dict[int, nn.Module]:
    """Each teacher as its own copy, as `deepcopy` has it."""
    roles = distiller.method.networks
    return {id(each): each for name, each in distiller.networks.items() if isinstance(roles[name], Teacher)}


def _make_alike(distiller: Distiller) -> None:
    """Give all ranks the first's weights, in the one layout that can be cut."""
    for part in _parts(distiller):
        for each in (*part.parameters(), *part.buffers()):
            each.data = each.data.contiguous()
            dist.broadcast(each.data, src=0)


def _outline(distiller: Distiller) -> Distiller:
    """A copy that holds no values, and the same teachers."""
    copy = deepcopy(distiller, _teachers(distiller))
    for part in _parts(copy):
        part.to("meta")
    return copy


def _blocks(distiller: Distiller) -> list[nn.Module]:
    """The blocks of all networks that are cut; terms may read the student's classifier, so it is in none."""
    images = torch.zeros(2, *distiller.anatomy.images)
    beside = [part.network for part in _parts(distiller) if isinstance(part, CompanionNetwork)]
    found = blocks(distiller.student, images, distiller.anatomy.classifier)
    return found + [block for network in beside for block in blocks(network, images)]


def _gathered(distiller: Distiller, found: list[nn.Module]) -> int:
    """Bytes that are whole at once on each rank: what is in no block, a block, and the one that comes after it."""
    sizes = [held_bytes(each.parameters()) for each in found]
    everything = sum(held_bytes(each.parameters()) for each in _parts(distiller))
    return everything - sum(sizes) + 2 * max(sizes, default=0)


def _cut(distiller: Distiller, found: list[nn.Module], device: str) -> None:
    """Cut all weights but teachers' and single numbers: blocks by themselves, and the rest together."""
    mesh = init_device_mesh(device, (dist.get_world_size(),))
    cut = {each for part in _parts(distiller) for each in part.parameters() if each.dim()}
    for each in (*found, distiller):
        fully_shard(each, mesh=mesh, ignored_params={*distiller.parameters()} - cut)
