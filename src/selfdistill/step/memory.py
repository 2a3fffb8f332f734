"""What terms remember between steps: started, and committed only where it is finite."""

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from selfdistill.distributed import all_gather
from selfdistill.terms import LossTerm, Memory, TableUpdate, TrainingInfo


class Named(Protocol):
    """Terms by name."""

    def items(self) -> ItemsView[str, LossTerm]:
        """Give names and terms."""
        ...


def start(terms: Named, info: TrainingInfo) -> dict[str, Memory]:
    """The memory of each term before the first step."""
    return {name: term.start(info) for name, term in terms.items()}


def renewed(terms: Named, info: TrainingInfo, memories: Mapping[str, Memory]) -> dict[str, Memory]:
    """Memories at the start of an epoch: those that restart then are started again."""
    return {name: term.start(info) if term.reset_memory == "epoch" else memories[name] for name, term in terms.items()}


@torch.no_grad()
def commit(
    memories: Mapping[str, Memory], remembered: Mapping[str, Memory], sound: Tensor | None = None
) -> dict[str, Memory]:
    """What was remembered, term by term; a term that met an infinite value keeps what it had.

    Where `sound` [] is false, each does.

    Rows are gathered from all ranks and written into the table where it lies: a copy of a large
    table costs seconds.
    """
    return {name: _finite_or(_from_all_ranks(new), memories[name], sound) for name, new in remembered.items()}


def ahead(new: Memory, old: Memory) -> Memory:
    """What will be remembered, for the next part of the same step; tables stay as they are until it is done."""
    match new:
        case TableUpdate():
            return old
        case Tensor():
            return new.detach()
        case dict() if isinstance(old, Mapping):
            return {key: ahead(value, old[key]) for key, value in new.items()}
        case tuple() if isinstance(old, tuple):
            return tuple(ahead(*pair) for pair in zip(new, old, strict=True))
    return new


def scoped(terms: Named, memories: Mapping[str, Memory], scope: str) -> dict[str, Memory]:
    """The memories of this scope: "rank" or "run"."""
    return {name: memories[name] for name, term in terms.items() if term.memory_scope == scope}


def _from_all_ranks(new: Memory) -> Memory:
    match new:
        case TableUpdate():
            return TableUpdate(all_gather(new.index), all_gather(new.values))
        case dict():
            return {key: _from_all_ranks(value) for key, value in new.items()}
        case tuple():
            return tuple(_from_all_ranks(value) for value in new)
    return new


def _finite_or(new: Memory, old: Memory, sound: Tensor | None) -> Memory:
    tensors = list(leaves(new))
    if not tensors:
        return new
    finite = torch.stack([leaf.isfinite().all() for leaf in tensors]).all()
    if sound is not None:
        finite = finite & sound
    kept: Memory = where(finite, new, old)
    return kept  # no branch on a value: it would stop the device and break the graph


def where(choice: Tensor, new: Any, old: Any) -> Any:
    """One of two memories of the same structure, by a boolean tensor [] and so without a branch."""
    match new:
        case TableUpdate():
            values = torch.where(choice, new.values.detach().to(old.dtype), old[new.index])
            return old.index_copy_(0, new.index, values)
        case Tensor():
            return torch.where(choice, new.detach(), old)
        case dict():
            return {key: where(choice, value, old[key]) for key, value in new.items()}
        case tuple():
            return tuple(where(choice, *pair) for pair in zip(new, old, strict=True))
    return new


def leaves(memory: Memory) -> Iterator[Tensor]:
    """Every tensor in a memory."""
    match memory:
        case Tensor():
            yield memory
        case dict():
            for value in memory.values():
                yield from leaves(value)
        case tuple() | list():
            for value in memory:
                yield from leaves(value)
