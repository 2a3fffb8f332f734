"""Cost of networks and steps: parameters, FLOPs, memory."""

import weakref
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from selfdistill.method.networks import PeerNetwork
from selfdistill.step import Distiller


def parameters(model: nn.Module) -> int:
    """Number of parameters of a model.

    >>> parameters(nn.Linear(3, 2))
    8
    """
    return sum(each.numel() for each in model.parameters())


def added_parameters(distiller: Distiller) -> int:
    """Number of parameters trained in addition to the student's: heads, branches and peers.

    >>> from selfdistill import methods, models
    >>> added_parameters(Distiller(models.create("resnet8", 4), methods.ce(), torch.ones(2, 3, 8, 8)))
    0
    """
    roles = distiller.method.networks
    peers = [each for name, each in distiller.networks.items() if isinstance(roles[name], PeerNetwork)]
    return sum(each.numel() for part in (distiller.terms, *peers) for each in part.parameters() if each.requires_grad)


def flops(work: Callable[[], object]) -> int:
    """Count the FLOPs of `work()`, including backward: convolutions and matrix products; multiply and add are two.

    >>> flops(lambda: torch.ones(2, 3) @ torch.ones(3, 4))
    48
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def peak_bytes(work: Callable[[], object]) -> int:
    """Peak bytes of the tensors that are made in `work()` and alive at once; on any device.

    Workspace that a library allocates inside an operation is not counted.

    >>> peak_bytes(lambda: torch.ones(256))
    1024
    """
    with _LiveBytes() as live:
        work()
    return int(live.peak)


def held_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors; shared storages count once.

    >>> held_bytes([weights := torch.ones(256), weights[:128]])
    1024
    """
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    return sum(storages.values())


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of operations' results while they are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        operation: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
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
