"""Conversion of labels from a custom training loop to class ids."""

from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.errors import UserError

Labels = Tensor | Sequence[int]


def class_ids(labels: Labels, rows: int, classes: int, device: torch.device) -> Tensor:
    """Convert labels to class ids [B] in int64 on a device; takes integers of any width, a column [B, 1] or a list.

    Raises `UserError` for labels of another dtype or shape, or of another number than `rows`.
    """
    ids = torch.as_tensor(labels)
    if ids.dim() == 2 and ids.shape[1] == 1:
        ids = ids.squeeze(1)
    if ids.is_floating_point() or ids.is_complex() or ids.dim() != 1:
        raise UserError(f"labels must be class ids, integers [B], but these are {_kind(ids)}; {_way_out(ids, classes)}")
    if len(ids) != rows:
        raise UserError(f"a batch of {rows} rows needs {rows} labels, but these are {len(ids)}")
    return ids.to(device, torch.int64)


def own_labels(labels: Tensor, rows: int, device: torch.device) -> Tensor:
    """Return labels of any kind on a device, for a task loss of the caller's own. [B, ...] -> the same.

    Raises `UserError` for another number than `rows`.
    """
    if labels.dim() == 0 or len(labels) != rows:
        raise UserError(f"a batch of {rows} rows needs {rows} rows of labels, but these are {_kind(labels)}")
    return labels.to(device)


def require_known_classes(ids: Tensor, classes: int) -> None:
    """Raise `UserError` for class ids [B] outside 0 … C - 1. Waits for the device."""
    wrong = ids[(ids < 0) | (ids >= classes)].unique().tolist()
    if wrong:
        raise UserError(
            f"labels must be from 0 to {classes - 1} for the model's {classes} logits, but these include "
            f"{', '.join(map(str, wrong[:5]))}; number the classes from 0, and leave out rows without a label"
        )


def _kind(labels: Tensor) -> str:
    return f"{str(labels.dtype).removeprefix('torch.')} {[*labels.shape]}"


def _way_out(labels: Tensor, classes: int) -> str:
    if labels.dim() == 2 and labels.shape[1] == classes:
        return "pass labels.argmax(dim=1) for one-hot rows, or task=, a loss of your own, for labels of another kind"
    return "pass labels.long() for ids that are stored as floats" if labels.dim() == 1 else "pass one id per row"
