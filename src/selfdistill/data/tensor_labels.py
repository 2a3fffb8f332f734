"""Labels in arrays: class ids, tags, or class ids of pixels, checked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

IGNORED_BYTE = 255  # of pixels in uint8; ?ignore changes it


def to_labels(values: Tensor, task: TaskName, name: str, ignored: int | None) -> Tensor:
    """Convert an array to labels. -> [N] int64, [N, T] float32 of 1, 0 and -100, or [N, H, W] int16; -100 is unknown.

    `ignored` is the id of pixels without a label. Raises `UserError` for other values and shapes.
    """
    if not values.dim() or not values.numel():
        raise UserError(f"the labels {name} have the shape {[*values.shape]}, but one label for each example is needed")
    whole = _whole(values, name)
    if task == CLASSIFY:
        return _class_ids(whole.reshape(len(whole)), name)
    return _tags(whole, name) if task == TAG else _pixels(whole, name, ignored)


def class_names(labels: Sequence[Tensor], names: Sequence[str] | None, task: TaskName, where: str) -> tuple[str, ...]:
    """Names of the classes or tags: those of the file, or numbers. Raises `UserError` for a label without a class."""
    if names is not None and len({*names}) < len(names):
        raise UserError(f"class_names of {where} holds a name twice; give each class its own name")
    highest = max(int(each.max()) for each in labels)
    count = labels[0].shape[1] if task == TAG else len(names) if names else max(int(labels[0].max()) + 1, 0)
    if names is not None and task == TAG and len(names) != count:
        raise UserError(f"{where} has {count} tags, but {len(names)} names in class_names; give each tag a name")
    if task != TAG and highest >= count:
        out = "correct class_names" if names else "add training examples of it"
        raise UserError(f"{where} has the class {highest}, but there are {count} classes, 0 to {count - 1}; {out}")
    if task == SEGMENT and count < 2:
        raise UserError(f"the training pixels of {where} have {count} classes; two are needed")
    return tuple(names or map(str, range(count)))


def one_hot_note(tags: Tensor, name: str) -> str | None:
    """Sentence on tags of which each row has exactly one, as class ids would have; None for others."""
    if tags.shape[1] > 1 and bool(((tags == 1).sum(dim=1) == 1).all()) and not (tags == IGNORED).any():
        return f"each row of {name} has exactly one tag; if they are classes, store their ids [N] in its place"
    return None


def _whole(values: Tensor, name: str) -> Tensor:
    """Convert whole numbers of any dtype to int64."""
    if values.is_floating_point() and not torch.equal(values, values.round()):
        wrong = values[values != values.round()][0]
        raise UserError(f"the labels {name} hold {float(wrong):g}, but labels are whole numbers; name others by ?label")
    return values.long()


def _class_ids(labels: Tensor, name: str) -> Tensor:
    if (wrong := labels < 0).any():
        raise UserError(
            f"{int(wrong.sum())} of the {len(labels)} labels {name} are negative, such as {int(labels[wrong][0])}; "
            "number classes from 0, and leave out examples without a label"
        )
    return labels


def _tags(labels: Tensor, name: str) -> Tensor:
    wrong = (labels != 0) & (labels != 1) & (labels != IGNORED)
    if wrong.any():
        raise UserError(
            f"the tags {name} hold {int(labels[wrong][0])}, but a tag is 1, 0, or {IGNORED} where it is unknown; one "
            "class for each example has the shape [N]"
        )
    return labels.float()


def _pixels(labels: Tensor, name: str, ignored: int | None) -> Tensor:
    maps = labels.reshape([size for place, size in enumerate(labels.shape) if size > 1 or place == 0])
    if maps.dim() != 3:
        raise UserError(
            f"the labels {name} have the shape {[*labels.shape]}, but labels are class ids [N], tags [N, T], or class "
            "ids of pixels [N, H, W]"
        )
    known = maps if ignored is None else maps.masked_fill(maps == ignored, IGNORED)
    wrong = (known < 0) & (known != IGNORED) | (known >= 2**15)
    if wrong.any():
        raise UserError(
            f"the labels {name} hold the id {int(known[wrong][0])}, but class ids of pixels go from 0 to {2**15 - 1}; "
            "name the id of pixels without a label by ?ignore=ID"
        )
    return known.short()
