"""Conversion of labels from a custom training loop to class ids of examples, pixels, tokens or tags."""

from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.functional import channels
from selfdistill.inputs import describe
from selfdistill.step.rows import ExampleRows

Labels = Tensor | Sequence[int]


class LabelReader:
    """Conversion of a batch's labels to the class ids of its rows; -100 where a row has no label.

    `ignore_index` is the caller's label for those.
    """

    def __init__(self, rows: ExampleRows, ignore_index: int = IGNORED):
        self.kind, self.classes, self.ignore_index = rows.kind, rows.classes, ignore_index
        self.outputs = channels(rows.anatomy.logits)  # C of the model

    def __call__(self, labels: Labels, rows: int, device: torch.device) -> Tensor:
        """Return labels of `rows` examples on a device. Raises `UserError` for another dtype or shape."""
        found = self.read(torch.as_tensor(labels), rows).to(device)
        return torch.where(found == self.ignore_index, IGNORED, found)

    def read(self, labels: Tensor, rows: int) -> Tensor:
        """Return labels in a known dtype and shape. Raises `UserError` for any other."""
        raise NotImplementedError

    def require_known(self, labels: Tensor) -> None:
        """Raise `UserError` for labels that are no class. Waits for the device."""
        wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= self.classes) | (labels != labels.long()))]
        if len(wrong):
            found = ", ".join(f"{each:g}" for each in wrong.unique()[:5].tolist())
            raise UserError(
                f"labels of {self.kind} must be from 0 to {self.classes - 1}, or {self.ignore_index} where "
                f"unknown, but these include {found}; pass ignore_index= for another label of unknown ones"
            )


class ExampleLabels(LabelReader):
    """Class ids [B]; each example has one."""

    def __call__(self, labels: Labels, rows: int, device: torch.device) -> Tensor:
        """Return class ids [B] on a device."""
        return class_ids(labels, rows, self.outputs, device)

    def require_known(self, labels: Tensor) -> None:
        """Raise `UserError` for class ids outside 0 … C - 1. Waits for the device."""
        require_known_classes(labels, self.classes)


class OwnLabels(ExampleLabels):
    """Labels of a task loss of the caller's own: class ids, or labels of any kind, which pass unchanged."""

    def __call__(self, labels: Labels, rows: int, device: torch.device) -> Tensor:
        """Return labels [B, ...] on a device."""
        if isinstance(labels, Tensor) and _is_own(labels):
            return own_labels(labels, rows, device)
        return super().__call__(labels, rows, device)

    def require_known(self, labels: Tensor) -> None:
        """Raise `UserError` for class ids outside 0 … C - 1; other labels are the caller's."""
        if not _is_own(labels):
            super().require_known(labels)


class PixelLabels(LabelReader):
    """Class ids of pixels [B, H, W]."""

    def read(self, labels: Tensor, rows: int) -> Tensor:
        """Return ids in int64."""
        return _ids(labels, rows, 3, f"labels of pixels must be integers [{rows}, H, W]", "image")


class TokenLabels(LabelReader):
    """Class ids of tokens [B, N]."""

    def read(self, labels: Tensor, rows: int) -> Tensor:
        """Return ids in int64."""
        return _ids(labels, rows, 2, f"labels of tokens must be integers [{rows}, N]", "example")


class TagLabels(LabelReader):
    """Labels of tags [B, C], 0 or 1, in any real dtype."""

    def read(self, labels: Tensor, rows: int) -> Tensor:
        """Return floats as they are, others in int64."""
        if labels.shape != (rows, self.outputs) or labels.is_complex():
            raise UserError(
                f"labels of tags must be [{rows}, {self.outputs}], one for each logit, but these are {describe(labels)}"
            )
        return labels if labels.is_floating_point() else labels.long()


READERS = {"examples": ExampleLabels, "pixels": PixelLabels, "tokens": TokenLabels, "tags": TagLabels}


def label_reader(rows: ExampleRows, ignore_index: int = IGNORED, *, own_task: bool = False) -> LabelReader:
    """Make the reader of a kind of rows; with `own_task` that of the labels of a task loss of the caller's own."""
    return (OwnLabels if own_task else READERS[rows.kind])(rows, ignore_index)


def _ids(labels: Tensor, rows: int, dims: int, wanted: str, one: str) -> Tensor:
    if labels.dim() != dims or len(labels) != rows or labels.is_floating_point() or labels.is_complex():
        raise UserError(
            f"{wanted}, but these are {describe(labels)}; for one class per {one}, pool the model's logits to [B, C]"
        )
    return labels.long()


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
