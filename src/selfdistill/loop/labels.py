"""Conversion of labels from a custom training loop to class ids of examples, pixels or tags."""

from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.inputs import describe
from selfdistill.step.rows import ExampleRows

Labels = Tensor | Sequence[int]


class LabelReader:
    """Conversion of a batch's labels to the class ids of its rows; -100 where a pixel or tag has no label.

    `ignore_index` is the caller's label for them. With a task loss of the caller's own, labels that are no class ids
    pass unchanged.
    """

    def __init__(self, rows: ExampleRows, ignore_index: int = IGNORED, *, own_task: bool = False):
        self.rows, self.ignore_index, self.own_task = rows, ignore_index, own_task
        self.outputs = rows.anatomy.logits[1]  # C of the model
        self.classes = rows.classes

    def __call__(self, labels: Labels, rows: int, device: torch.device) -> Tensor:
        """Return labels [B], [B, H, W] of pixels or [B, C] of tags, on a device."""
        if self.own_task and isinstance(labels, Tensor) and _is_own(labels):
            return own_labels(labels, rows, device)
        if self.rows.kind == "examples":
            return class_ids(labels, rows, self.outputs, device)
        read = pixel_ids(labels, rows) if self.rows.kind == "pixels" else tag_labels(labels, rows, self.outputs)
        found = read.to(device)
        return torch.where(found == self.ignore_index, IGNORED, found)

    def require_known(self, labels: Tensor) -> None:
        """Raise `UserError` for labels that are no class, or for tags other than 0 and 1. Waits for the device."""
        if self.own_task and _is_own(labels):
            return
        if self.rows.kind == "examples":
            require_known_classes(labels, self.classes)
            return
        wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= self.classes) | (labels != labels.long()))]
        if len(wrong):
            found = ", ".join(f"{each:g}" for each in wrong.unique()[:5].tolist())
            raise UserError(
                f"labels of {self.rows.kind} must be from 0 to {self.classes - 1}, or {self.ignore_index} where "
                f"unknown, but these include {found}; pass ignore_index= for another label of unknown ones"
            )


def pixel_ids(labels: Labels, rows: int) -> Tensor:
    """Return class ids of pixels [B, H, W] in int64. Raises `UserError` for another dtype or shape."""
    ids = torch.as_tensor(labels)
    if ids.dim() != 3 or len(ids) != rows or ids.is_floating_point() or ids.is_complex():
        raise UserError(
            f"labels of pixels must be integers [{rows}, H, W], but these are {describe(ids)}; for one class per "
            "image, pool the model's logits to [B, C]"
        )
    return ids.long()


def tag_labels(labels: Labels, rows: int, tags: int) -> Tensor:
    """Return labels of tags [B, C], of any real dtype. Raises `UserError` for another shape."""
    found = torch.as_tensor(labels)
    if found.shape != (rows, tags) or found.is_complex():
        raise UserError(f"labels of tags must be [{rows}, {tags}], one for each logit, but these are {describe(found)}")
    return found if found.is_floating_point() else found.long()


def class_ids(labels: Labels, rows: int, classes: int, device: torch.device) -> Tensor:
    """Convert labels to class ids [B] in int64 on a device; takes integers of any width, a column [B, 1] or a list.

    Raises `UserError` for labels of another dtype or shape, or of another number than `rows`.
    """
    ids = torch.as_tensor(labels)
    if ids.dim() == 2 and ids.shape[1] == 1:
        ids = ids.squeeze(1)
    if ids.is_floating_point() or ids.is_complex() or ids.dim() != 1:
        raise UserError(
            f"labels must be class ids, integers [B], but these are {describe(ids)}; {_way_out(ids, classes)}"
        )
    if len(ids) != rows:
        raise UserError(f"a batch of {rows} rows needs {rows} labels, but these are {len(ids)}")
    return ids.to(device, torch.int64)


def _is_own(labels: Tensor) -> bool:
    """Return True for labels that are no class ids: floats, or several columns."""
    return labels.is_floating_point() or (labels.dim() > 1 and labels.shape[1:] != (1,))


def own_labels(labels: Tensor, rows: int, device: torch.device) -> Tensor:
    """Return labels of any kind on a device, for a task loss of the caller's own. [B, ...] -> the same.

    Raises `UserError` for another number than `rows`.
    """
    if labels.dim() == 0 or len(labels) != rows:
        raise UserError(f"a batch of {rows} rows needs {rows} rows of labels, but these are {describe(labels)}")
    return labels.to(device)


def require_known_classes(ids: Tensor, classes: int) -> None:
    """Raise `UserError` for class ids [B] outside 0 … C - 1. Waits for the device."""
    wrong = ids[(ids < 0) | (ids >= classes)].unique().tolist()
    if wrong:
        raise UserError(
            f"labels must be from 0 to {classes - 1} for the model's {classes} logits, but these include "
            f"{', '.join(map(str, wrong[:5]))}; number the classes from 0, and leave out rows without a label"
        )


def _way_out(labels: Tensor, classes: int) -> str:
    if labels.dim() == 2 and labels.shape[1] == classes:
        return "pass labels.argmax(dim=1) for one-hot rows, rows='tags' for several tags per example, or task=, a loss"
    return "pass labels.long() for ids that are stored as floats" if labels.dim() == 1 else "pass one id per row"
