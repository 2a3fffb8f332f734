"""What terms remember between steps: started, and committed only where it is finite."""

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from selfdistill.terms import Facts, Memory, Term


class Named(Protocol):
    """Terms by name."""

    def items(self) -> ItemsView[str, Term]:
        """Give names and terms."""
        ...


def start(terms: Named, facts: Facts) -> dict[str, Memory]:
    """The memory of each term before the first step."""
    return {name: term.start(facts) for name, term in terms.items()}


def renewed(terms: Named, facts: Facts, memories: Mapping[str, Memory]) -> dict[str, Memory]:
    """Memories at the start of an epoch: those that restart then are started again."""
    return {name: term.start(facts) if term.forget == "epoch" else memories[name] for name, term in terms.items()}


@torch.no_grad()
def commit(memories: Mapping[str, Memory], remembered: Mapping[str, Memory]) -> dict[str, Memory]:
    """What was remembered, term by term; a term that met an infinite value keeps what it had."""
    return {name: _finite_or(remembered[name], memories[name]) for name in remembered}


def _finite_or(new: Memory, old: Memory) -> Memory:
    tensors = list(leaves(new))
    if not tensors:
        return new
    finite = torch.stack([leaf.isfinite().all() for leaf in tensors]).all()
    return where(finite, new, old)  # no branch on a value: it would stop the device and break the graph


def where(choice: Tensor, new: Any, old: Any) -> Any:
    """One of two memories of the same structure, by a boolean tensor [] and so without a branch."""
    match new:
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
