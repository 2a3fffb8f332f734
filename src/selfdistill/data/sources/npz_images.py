"""8-bit images and their classes or tags as arrays of an .npz file, as of MedMNIST."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.examples import named_inputs
from selfdistill.data.images import Images
from selfdistill.data.pixels import resize
from selfdistill.data.sources.npz_file import channel_order, npz_options
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.sources.tensors import read_arrays
from selfdistill.errors import UserError

GREY, RGB = 1, 3  # channels


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `npz:PATH`; grey images are repeated to three channels."""
    path, options = npz_options(argument)
    found = read_arrays(path, options | channel_order(path, options), test)
    labels = found.train.labels
    chosen = pick(labels, found.classes)

    def images(split: Literal["train", "validation", "test"]) -> Images:
        examples = getattr(found, split)
        rows = chosen if split == "train" else torch.arange(len(examples.labels))
        return Images(to_pixels(examples.inputs, size, repr(str(path)))[rows], examples.labels[rows])

    held = None if found.validation is None else images("validation")
    return SourceData(images("train"), held, images("test"), found.classes, notes=found.notes)


def to_pixels(inputs: Tensor | Mapping[str, Tensor], size: int | None, where: str) -> Tensor:
    """Convert arrays of bytes to images: [N, 1 or 3, H, W] uint8 -> [N, 3, S, S]; others are cropped at the center.

    Raises `UserError` for several arrays, other values and other shapes, and for images that are not square without
    `size`.
    """
    if not isinstance(inputs, Tensor):
        raise UserError(
            f"{where} has the inputs {', '.join(named_inputs(inputs))}; name that of the images by ?input=NAME"
        )
    if inputs.dtype != torch.uint8 or inputs.dim() != 4 or inputs.shape[1] not in (GREY, RGB):
        kind = f"{str(inputs.dtype)[6:]} {[*inputs.shape]}"
        raise UserError(
            f"the images of {where} are {kind}, but bytes [N, H, W], [N, H, W, 3] or [N, 3, H, W] are needed; read "
            "other arrays by tensors:PATH"
        )
    height, width = inputs.shape[2:]
    if height != width and size is None:
        raise UserError(
            f"the images of {where} have {width}x{height} pixels and are not square; pass --size to resize the shorter "
            "side and crop the center"
        )
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = inputs[:, :, top : top + side, left : left + side]
    return resize(square.expand(-1, RGB, -1, -1).contiguous(), size)
