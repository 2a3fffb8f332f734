"""Order of the dimensions of arrays: to channels first, by their shape, kind and name."""

from typing import NamedTuple

import torch
from torch import Size, Tensor

FEW = (1, 3, 4)  # channels of images
IDS = 2  # most dimensions of integers that stay integers


class ReadArray(NamedTuple):
    """An array with channels first, and a sentence where that may surprise."""

    values: Tensor
    note: str | None = None


def channels_first(values: Tensor, name: str, channels: str | None = None) -> ReadArray:
    """Order the dimensions of an input: [N, C], signals [N, C, L], images [N, C, H, W], volumes [N, C, T, H, W].

    `channels` is "first", "last" or "none"; without it the shape tells. Values [N] become [N, 1]. Integers of more than
    two dimensions are values and become float32; uint8 stays.

    >>> channels_first(torch.zeros(2, 8, 6, 3), "images").values.shape
    torch.Size([2, 3, 8, 6])
    """
    if values.dim() <= IDS:
        is_column = values.dim() == 1 and (values.is_floating_point() or values.dtype == torch.uint8)
        return ReadArray(values[:, None] if is_column else values)
    found = channels or _channels(values, name)
    ordered = {"first": values, "last": values.movedim(-1, 1), "none": values[:, None]}[found]
    kept = ordered if ordered.is_floating_point() or ordered.dtype == torch.uint8 else ordered.float()
    return ReadArray(kept.contiguous(), _note(values.shape, ordered.shape, name, found, channels))


def _channels(values: Tensor, name: str) -> str:
    """Guess where an array has its channels."""
    _, first, *middle, last = (*values.shape, 0, 0)[: max(values.dim(), 3)]
    if values.dim() >= 4 and last in FEW and first not in FEW:
        return "last"
    if values.dim() == 3:
        return "none" if values.dtype == torch.uint8 or "image" in name.lower() else "first"
    if values.dim() == 4 and first not in FEW and {first, *middle} == {last}:
        return "none"
    return "first"


def _note(shape: Size, ordered: Size, name: str, found: str, asked: str | None) -> str | None:
    """Sentence on a guess; None where the option said so, or channels are first as usual."""
    if asked or (found == "first" and not (len(shape) == 3 and shape[1] > shape[2])):
        return None
    was, read = ("x".join(map(str, each[1:])) for each in (shape, ordered))
    order = {"first": "has its channels first", "last": "has its channels last", "none": "has no channels"}[found]
    return f"{name} of {was} {order} and is read as {read}, unless ?channels=first, last or none says otherwise"
