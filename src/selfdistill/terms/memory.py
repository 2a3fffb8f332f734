"""Memory of a term between steps: tensors in tuples and mappings, and updates of a table's rows."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from torch import Tensor

Memory: TypeAlias = "Tensor | tuple[Memory, ...] | Mapping[str, Memory] | None"  # all that a checkpoint stores as data


class TableUpdate(NamedTuple):
    """Rows to write into a remembered table [N, …] after the step; a term remembers it in the table's place.

    The other rows stay. The rows of all ranks are written into each rank's table, without gradient.

    >>> probabilities = torch.full((2, 10), 0.1)
    >>> update = sd.TableUpdate(torch.tensor([7, 3]), probabilities)
    >>> torch.zeros(500, 10).index_copy(0, *update).sum()
    tensor(2.)
    """

    index: Tensor  # type: ignore[assignment]  # [B] int64 rows of the table; hides tuple.index, which nobody calls
    values: Tensor  # [B, …] their new values


def as_tensor(memory: Memory) -> Tensor:
    """Return a memory that is one tensor."""
    if not isinstance(memory, Tensor):
        raise _wrong_kind(memory, "a tensor")
    return memory


def as_pair(memory: Memory) -> tuple[Tensor, Tensor]:
    """Return a memory that is a tuple of two tensors."""
    if not isinstance(memory, tuple) or len(memory) != 2:
        raise _wrong_kind(memory, "a tuple of two tensors")
    return as_tensor(memory[0]), as_tensor(memory[1])


def as_mapping(memory: Memory) -> dict[str, Tensor]:
    """Return a memory that maps names to tensors."""
    if not isinstance(memory, Mapping):
        raise _wrong_kind(memory, "a mapping of tensors")
    return {name: as_tensor(each) for name, each in memory.items()}


def _wrong_kind(memory: Memory, wanted: str) -> TypeError:
    return TypeError(f"a term's memory should be {wanted}, but is a {type(memory).__name__}; return it from start()")
