"""What a method costs: parameters, arithmetic, memory."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from selfdistill.method.networks import PeerNetwork
from selfdistill.step import Distiller


def parameters(model: nn.Module) -> int:
    """How many parameters a model is deployed with."""
    return sum(each.numel() for each in model.parameters())


def added_parameters(distiller: Distiller) -> int:
    """How many parameters are trained beside the student's: heads, branches and peers."""
    roles = distiller.method.networks
    peers = [each for name, each in distiller.networks.items() if isinstance(roles[name], PeerNetwork)]
    return sum(each.numel() for part in (distiller.terms, *peers) for each in part.parameters() if each.requires_grad)


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of what `work` does, backward too: convolutions and products of matrices."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peak_bytes(work: Callable[[], object]) -> int:
    """Bytes of the tensors that `work` makes, where most of them live at once; on any device.

    What a library takes for itself inside an operation is not seen.
    """
    with _Living() as living:
        work()
    return living.peak


def held_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, those that share their memory counted once."""
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    return sum(storages.values())


class _Living(TorchDispatchMode):
    """Counts the bytes that operations' results occupy while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        given = {id(each.untyped_storage()) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        result = operation(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and id(each.untyped_storage()) not in given | self._known:
                self._add(each.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        known, size = id(storage), storage.nbytes()
        self._known.add(known)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, known, size).atexit = False

    def _drop(self, known: int, size: int) -> None:
        self._known.discard(known)
        self.now -= size
