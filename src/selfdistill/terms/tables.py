"""Tables with a row for each training image, in the format of the run: half precision, largest entries, on the disk."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.system import format_bytes
from selfdistill.terms.memory import Memory, TableUpdate, as_mapping, as_tensor
from selfdistill.terms.term import TrainingInfo

# Keys of a table of largest entries: values [N, K], their columns [N, K], and the mean of the other entries [N, 1]
TOP, COLUMNS, REST = "top", "columns", "rest"


def start_table(info: TrainingInfo, width: int) -> Memory:
    """Make a table of zeros for probabilities of `width` classes, [N, C] or its K largest entries.

    Raises `UserError` for a K that is not below C, and for a disk without room for a mapped table.

    >>> start_table(sd.TrainingInfo(classes=10, width=None, batch=4, like=torch.zeros(()), images=500), 10).shape
    torch.Size([500, 10])
    """
    top = info.tables.top
    if top is None:
        return _zeros(info, width, _dtype(info))
    if top >= width:
        raise UserError(f"--memory top:{top} keeps as many entries as the {width} classes have; pass fewer, or full")
    sizes = {TOP: (top, _dtype(info)), COLUMNS: (top, torch.int32), REST: (1, _dtype(info))}
    return {name: _zeros(info, *size) for name, size in sizes.items()}


def read_rows(table: Memory, index: Tensor, logits: Tensor) -> Tensor:
    """Read rows of a table as probabilities of the classes of `logits`, float32 or wider. [B], [B, C] -> [B, C].

    Of a table of largest entries, the others share what is left equally. Rows that were never written are zeros.

    >>> read_rows(torch.tensor([[0.4, 0.6], [0.0, 0.0]]), torch.tensor([1, 0]), torch.zeros(2, 2))
    tensor([[0.0000, 0.0000],
            [0.4000, 0.6000]])
    """
    if not isinstance(table, Mapping):
        return _at(as_tensor(table), index, logits)
    top, columns, rest = (_at(as_mapping(table)[name], index, logits) for name in (TOP, COLUMNS, REST))
    return rest.expand(len(index), logits.shape[1]).scatter(1, columns.long(), top)


def update_rows(table: Memory, index: Tensor, rows: Tensor) -> Memory:
    """Return the update of a table's rows by new probabilities. [B], [B, C].

    >>> update_rows(torch.zeros(3, 2), torch.tensor([1]), torch.tensor([[0.4, 0.6]])).values
    tensor([[0.4000, 0.6000]])
    """
    if not isinstance(table, Mapping):
        return TableUpdate(index, rows)
    found = rows.topk(as_tensor(table[TOP]).shape[1], dim=1)
    left = rows.sum(dim=1, keepdim=True) - found.values.sum(dim=1, keepdim=True)
    rest = left.clamp_min(0) / (rows.shape[1] - found.values.shape[1])
    parts = {TOP: found.values, COLUMNS: found.indices.int(), REST: rest}
    return {name: TableUpdate(index, each) for name, each in parts.items()}


def start_bank(info: TrainingInfo, rows: Tensor) -> Tensor:
    """Make a table of embeddings that each step reads as a whole, in the precision of the run. [N, D] -> [N, D].

    Raises `UserError` for formats that keep a part of each row, or the table on the disk.
    """
    if info.tables.top is not None or info.tables.mapped:
        wanted = "top" if info.tables.top is not None else "mapped"
        raise UserError(
            f"--memory {wanted} is for tables of probabilities of which a step reads its own rows, but a method here "
            f"reads all {info.images:,} embeddings at each step; pass --memory half or full"
        )
    return rows.half() if info.tables.half else rows.clone()


def read_bank(bank: Tensor) -> Tensor:
    """Copy a table of embeddings, float32 or wider: it may be updated before the backward pass. [N, D] -> [N, D]."""
    return bank.float() if bank.dtype == torch.float16 else bank.clone()


def is_mapped(tensor: Tensor) -> bool:
    """Return true for a tensor whose values are in a file."""
    return tensor.untyped_storage().filename is not None


def _dtype(info: TrainingInfo) -> torch.dtype:
    return torch.float16 if info.tables.half else info.like.dtype


def _at(table: Tensor, index: Tensor, like: Tensor) -> Tensor:
    """Rows of a table, on the device of `like`; a mapped table is on the CPU."""
    rows = table[index.to(table.device)].to(like.device)
    return rows.float() if rows.dtype == torch.float16 else rows


def _zeros(info: TrainingInfo, width: int, dtype: torch.dtype) -> Tensor:
    if info.tables.mapped and info.tables.folder is not None and info.images:
        return _mapped_zeros(info.tables.folder, (info.images, width), dtype)
    return torch.zeros(info.images, width, dtype=dtype, device=info.like.device)


def _mapped_zeros(folder: Path, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Zeros in a file without a name, which the system removes with the process. -> [N, D]."""
    count, size = shape[0] * shape[1], shape[0] * shape[1] * dtype.itemsize
    folder = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".table-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk later would end the process by SIGBUS
            return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)
    except OSError as error:
        raise UserError(
            f"cannot make a table of {format_bytes(size)} in {str(folder)!r}: {error.strerror or error}; free the "
            "disk, or choose another --out or --memory"
        ) from None
