"""Memory of terms between steps: a slot for each part of a batch, and commits that skip non-finite values."""

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from selfdistill.distributed import all_gather
from selfdistill.terms import LossTerm, Memory, TableUpdate, TrainingInfo
from selfdistill.terms.tables import is_mapped


class TermsByName(Protocol):
    """Terms by name."""

    def items(self) -> ItemsView[str, LossTerm]:
        """Return names and terms."""
        ...

    def __getitem__(self, key: str) -> LossTerm: ...


def start(terms: TermsByName, info: TrainingInfo) -> dict[str, Memory]:
    """Return the memory of each term before the first step."""
    return {name: term.start(info) for name, term in terms.items()}


class MemorySlots:
    """The memories of all terms, one slot for each part of an accumulated batch.

    Each slot maps a term's name to its memory. Memory of scope "run" is the same in every slot. Training loops read a
    slot, pass it to the distiller, and commit what the terms return.
    """

    def __init__(self, terms: TermsByName, info: TrainingInfo, slots: int = 1):
        self.terms, self.info = terms, info
        self.slots = [start(terms, info)]
        for _ in range(1, slots):
            own = {name: term.start(info) for name, term in terms.items() if term.memory_scope == "rank"}
            self.slots.append({**self.slots[0], **own})
        # separate tensors: torch.compile would treat shared ones as one input
        self.initial = {name: term.start(info) for name, term in terms.items() if term.reset_memory == "epoch"}

    def restart(self) -> None:
        """Reset the memories that last for one epoch."""
        for slot in self.slots:
            slot.update({name: self.terms[name].start(self.info) for name in self.initial})

    def restarted_if(self, first: Tensor, slot: int) -> dict[str, Memory]:
        """Return a slot, reset if `first` [] is true; without a branch, so that a compiled step stays one graph."""
        memories = self.slots[slot]
        return {**memories, **{name: where(first, new, memories[name]) for name, new in self.initial.items()}}

    def after(self, remembered: Mapping[str, Memory], slot: int) -> dict[str, Memory]:
        """Return a slot whose memory of scope "run" includes an uncommitted part of the same step."""
        memories = self.slots[slot]
        shared = select_scope(self.terms, remembered, "run")
        return {**memories, **{name: next_part(new, memories[name]) for name, new in shared.items()}}

    def load(self, memories: Sequence[Mapping[str, Memory]]) -> None:
        """Take the memories of a checkpoint, on their device; tables on the disk are written in place."""
        first = {name: loaded(each, self.slots[0][name]) for name, each in memories[0].items()}
        shared = select_scope(self.terms, first, "run")
        self.slots = [first, *({**each, **shared} for each in memories[1:])]

    def commit(
        self,
        slot: int,
        remembered: Mapping[str, Memory],
        *,
        before: Mapping[str, Memory] | None = None,
        taken: Tensor | None = None,
    ) -> None:
        """Store what the terms returned for a slot; memory of scope "run" goes into every slot.

        `before` is the slot that the step has read, if it differs. Nothing is stored if `taken` [] is false.
        """
        self.slots[slot] = commit(self.slots[slot] if before is None else before, remembered, taken)
        shared = select_scope(self.terms, self.slots[slot], "run")
        for each in self.slots:
            each.update(shared)


@torch.no_grad()
def commit(
    memories: Mapping[str, Memory], remembered: Mapping[str, Memory], taken: Tensor | None = None
) -> dict[str, Memory]:
    """Return the next memory of each term; a term with a non-finite value keeps its old memory.

    All terms keep theirs if `taken` [] is false. Table updates are gathered from all ranks and written in place: a
    copy of a large table takes seconds.
    """
    return {name: _finite_or(_from_all_ranks(new), memories[name], taken) for name, new in remembered.items()}


def next_part(new: Memory, old: Memory) -> Memory:
    """Return the memory for the next part of the same step; tables are written only after the step."""
    match new:
        case TableUpdate():
            return old
        case Tensor():
            return new.detach()
        case dict() if isinstance(old, Mapping):
            return {key: next_part(value, old[key]) for key, value in new.items()}
        case tuple() if isinstance(old, tuple):
            return tuple(next_part(*pair) for pair in zip(new, old, strict=True))
    return new


def select_scope(terms: TermsByName, memories: Mapping[str, Memory], scope: str) -> dict[str, Memory]:
    """Return the memories of a scope: "rank" or "run"."""
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


def _finite_or(new: Memory, old: Memory, taken: Tensor | None) -> Memory:
    tensors = list(leaves(new))
    if not tensors:
        return new
    finite = torch.stack([leaf.isfinite().all() for leaf in tensors]).all()
    if taken is not None:
        finite = finite & taken
    memory: Memory = where(finite, new, old)
    return memory  # no branch on a value: it would sync the host and break the graph


def where(choice: Tensor, new: Any, old: Any) -> Any:
    """Select one of two memories of equal structure by a boolean tensor [], as `torch.where`."""
    match new:
        case TableUpdate():
            index, device = new.index.to(old.device), new.values.device  # a mapped table is on the CPU
            values = torch.where(choice, new.values.detach().to(old.dtype), old[index].to(device))
            return old.index_copy_(0, index, values.to(old.device))
        case Tensor():
            return torch.where(choice, new.detach(), old)
        case dict():
            return {key: where(choice, value, old[key]) for key, value in new.items()}
        case tuple():
            return tuple(where(choice, *pair) for pair in zip(new, old, strict=True))
    return new


def loaded(new: Memory, old: Memory) -> Memory:
    """Return a memory of a checkpoint; values of a mapped tensor are copied into its file."""
    match new:
        case Tensor() if isinstance(old, Tensor) and is_mapped(old):
            return old.copy_(new)
        case dict() if isinstance(old, Mapping):
            return {key: loaded(value, old[key]) for key, value in new.items()}
    return new


def leaves(memory: Memory) -> Iterator[Tensor]:
    """Yield every tensor in a memory."""
    match memory:
        case Tensor():
            yield memory
        case dict():
            for value in memory.values():
                yield from leaves(value)
        case tuple() | list():
            for value in memory:
                yield from leaves(value)
