"""Memory of terms between steps: slots for the parts of a batch, commits that leave non-finite values out."""

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

    def __getitem__(self, key: str) -> LossTerm: ...


def start(terms: Named, info: TrainingInfo) -> dict[str, Memory]:
    """The memory of each term before the first step."""
    return {name: term.start(info) for name, term in terms.items()}


class MemorySlots:
    """The memories of all terms, one slot for each part of an accumulated batch.

    Each slot maps a term's name to its memory. Memory of scope "run" is the same in every slot. Training loops read a
    slot, pass it to the distiller, and commit what the terms return.
    """

    def __init__(self, terms: Named, info: TrainingInfo, slots: int = 1):
        self.terms, self.info = terms, info
        self.slots = [start(terms, info) for _ in range(slots)]
        # tensors of their own: torch.compile would treat shared ones as one input
        self.initial = {name: term.start(info) for name, term in terms.items() if term.reset_memory == "epoch"}

    def restart(self) -> None:
        """Restart the memories that are reset at each epoch."""
        for slot in self.slots:
            slot.update({name: self.terms[name].start(self.info) for name in self.initial})

    def restarted_if(self, first: Tensor, slot: int) -> dict[str, Memory]:
        """Return a slot, restarted if `first` [] is true: without a branch, so that a compiled step stays one graph."""
        memories = self.slots[slot]
        return {**memories, **{name: where(first, new, memories[name]) for name, new in self.initial.items()}}

    def after(self, remembered: Mapping[str, Memory], slot: int) -> dict[str, Memory]:
        """Return a slot after an uncommitted part of the same step, which memory of scope "run" has seen."""
        memories = self.slots[slot]
        shared = scoped(self.terms, remembered, "run")
        return {**memories, **{name: ahead(new, memories[name]) for name, new in shared.items()}}

    def commit(
        self,
        slot: int,
        remembered: Mapping[str, Memory],
        *,
        before: Mapping[str, Memory] | None = None,
        taken: Tensor | None = None,
    ) -> None:
        """Store what the terms returned for a slot; memory of scope "run" goes into every slot.

        `before` is the slot as the step read it, if it differs. Nothing is stored where `taken` [] is false.
        """
        self.slots[slot] = commit(self.slots[slot] if before is None else before, remembered, taken)
        shared = scoped(self.terms, self.slots[slot], "run")
        for each in self.slots:
            each.update(shared)


@torch.no_grad()
def commit(
    memories: Mapping[str, Memory], remembered: Mapping[str, Memory], sound: Tensor | None = None
) -> dict[str, Memory]:
    """Return the next memory of each term; a term with a non-finite value keeps its old memory.

    All do if `sound` [] is false. Table updates are gathered from all ranks and written in place: a copy of a large
    table costs seconds.
    """
    return {name: _finite_or(_from_all_ranks(new), memories[name], sound) for name, new in remembered.items()}


def ahead(new: Memory, old: Memory) -> Memory:
    """Return the memory for the next part of the same step; tables are written only after the step."""
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
