"""Map-style data sets of a custom loop: the image and class id of an item, the labels of all."""

import operator
from collections.abc import Callable, Collection, Iterable, Sequence, Sized
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from selfdistill.errors import UserError

LARGEST = 2**63 - 1  # class id that a tensor can hold


class MapDataset(Protocol):
    """A map-style data set of (float image [3, H, W], class id)."""

    def __len__(self) -> int:
        """Number of items."""
        ...

    def __getitem__(self, row: int, /) -> object:
        """Return the item of a row."""
        ...


def read_item(dataset: MapDataset, row: int) -> tuple[Tensor, int]:
    """Read the image and the class id of a row. Raises `UserError` for an item of another kind.

    >>> read_item([(torch.zeros(3, 8, 8), 4)], 0)[1]
    4
    """
    image, label = _pair(dataset, row)
    if not isinstance(image, Tensor) or not image.is_floating_point():
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise UserError(
            f"item {row} of the data set holds an image of kind {kind}, but a float tensor [3, H, W] is "
            "needed; convert and normalize it in the data set's transform"
        )
    return image, _class_id(label, row)


def labels_of(dataset: MapDataset) -> Tensor:
    """Class ids of all items: the data set's `targets` or `labels`, or those of the items, read once. -> [N].

    Raises `UserError` for an item without a class.

    >>> labels_of([(torch.zeros(3, 8, 8), label) for label in (2, 0)])
    tensor([2, 0])
    """
    known = known_labels(dataset)
    if known is None:
        known = torch.tensor([_class_id(_pair(dataset, row)[1], row) for row in range(len(dataset))])
    if unlabelled := (known < 0).nonzero().flatten().tolist():
        first = unlabelled[0]
        raise UserError(
            f"item {first} of the data set has the label {int(known[first])}, but pairs within a class need a class id "
            "from 0 for every item; leave unlabelled items out with torch.utils.data.Subset"
        )
    return known


def known_labels(dataset: object) -> Tensor | None:
    """Return the class ids that a data set, or its base data sets, list for all items; None without a list. -> [N]."""
    if type(dataset) is Subset:  # a subclass may relabel its items
        inner = known_labels(dataset.dataset)
        return None if inner is None else inner[torch.as_tensor(dataset.indices, dtype=torch.long)]
    if type(dataset) is ConcatDataset:
        parts = [known_labels(each) for each in dataset.datasets]
        return None if any(each is None for each in parts) else torch.cat([each for each in parts if each is not None])
    if type(dataset) is TensorDataset and len(dataset.tensors) == 2:
        return _as_class_ids(dataset.tensors[1])
    listed = getattr(dataset, "targets", getattr(dataset, "labels", None))
    if not isinstance(dataset, Sized) or not isinstance(listed, Collection) or len(listed) != len(dataset):
        return None
    return _as_class_ids(listed, getattr(dataset, "target_transform", None))


def _as_class_ids(listed: Iterable[object], transform: Callable[[object], object] | None = None) -> Tensor | None:
    """Turn a list of labels into class ids; None if they are of another kind. -> [N]."""
    try:
        values = np.asarray(listed if transform is None else [transform(each) for each in listed])
    except Exception:  # labels of any kind, and a user's own function
        return None
    if values.ndim != 1 or values.dtype.kind not in "iubf" or not np.array_equal(values, np.floor(values)):
        return None
    return None if len(values) and values.max() > LARGEST else torch.from_numpy(values.astype(np.int64))


def _pair(dataset: MapDataset, row: int) -> Sequence[object]:
    try:
        item = dataset[row]
    except Exception as error:  # a user's data set may raise anything
        raise UserError(
            f"item {row} of the data set cannot be read: {type(error).__name__}: {error}; repair or remove it"
        ) from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise UserError(
            f"item {row} of the data set is {_describe(item)}, but a tuple (image, class id) is needed; "
            "return one from the data set's __getitem__"
        )
    return item


def _describe(item: object) -> str:
    if isinstance(item, dict):
        return f"a dict with {', '.join(repr(key) for key in item) or 'no keys'}"
    return f"a {type(item).__name__}" + (f" of {len(item)}" if isinstance(item, tuple | list) else "")


def _class_id(label: object, row: int) -> int:
    try:
        value: Any = label.item() if isinstance(label, Tensor | np.ndarray | np.generic) else label
        found = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # another kind, or several values
        shown = f"of shape {list(label.shape)}" if isinstance(label, Tensor | np.ndarray) else repr(label)[:40]
        raise UserError(
            f"item {row} of the data set has a label of kind {type(label).__name__} ({shown}), but a class id, a whole "
            "number from 0, is needed; number the classes in the data set's target_transform"
        ) from None
    if abs(found) > LARGEST:
        raise UserError(
            f"item {row} of the data set has the label {found}, which no tensor can hold; number the classes from 0"
        )
    return found
