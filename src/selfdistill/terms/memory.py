"""Memory of a term between steps: tensors in tuples and mappings, and updates of a table's rows."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from torch import Tensor

Memory: TypeAlias = "Tensor | tuple[Memory, ...] | Mapping[str, Memory] | None"  # what a checkpoint can store


class TableUpdate(NamedTuple):
    """Rows to write into a table [N, …] after the step; a term's `remember` returns it in place of the table.

    Other rows are kept. Rows of all ranks are written to each rank's table, without gradient.

    >>> probabilities = torch.full((2, 10), 0.1)
    >>> update = sd.TableUpdate(torch.tensor([7, 3]), probabilities)
    >>> torch.zeros(500, 10).index_copy(0, *update).sum()
    tensor(2.)
    """

    index: Tensor  # type: ignore[assignment]  # [B] int64 row numbers; hides tuple.index, which nobody calls
    values: Tensor  # [B, …] new values of the rows


def as_tensor(memory: Memory) -> Tensor:
    """Return the memory as one tensor. Raises `TypeError` for another kind."""
    if not isinstance(memory, Tensor):
        raise _wrong_kind(memory, "a tensor")
    return memory


def as_pair(memory: Memory) -> tuple[Tensor, Tensor]:
    """Return the memory as a tuple of two tensors. Raises `TypeError` for another kind."""
    if not isinstance(memory, tuple) or len(memory) != 2:
        raise _wrong_kind(memory, "a tuple of two tensors")
    return as_tensor(memory[0]), as_tensor(memory[1])


def as_mapping(memory: Memory) -> dict[str, Tensor]:
    """Return the memory as a mapping of names to tensors. Raises `TypeError` for another kind."""
    if not isinstance(memory, Mapping):
        raise _wrong_kind(memory, "a mapping of tensors")
    return {name: as_tensor(each) for name, each in memory.items()}


def as_memories(memory: Memory) -> Mapping[str, Memory]:
    """Return the memory as a mapping of names to memories. Raises `TypeError` for another kind."""
    if not isinstance(memory, Mapping):
        raise _wrong_kind(memory, "a mapping")
    return memory


def _wrong_kind(memory: Memory, wanted: str) -> TypeError:
    return TypeError(f"a term's memory should be {wanted}, but is a {type(memory).__name__}; return it from start()")
