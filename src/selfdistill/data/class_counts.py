"""Counts of classes in images with a class, with tags, or with masks."""

from collections.abc import Iterator

import torch
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.kinds import AnyImages

BLOCK = 16  # masks decoded at once


def class_counts(images: AnyImages, classes: int) -> Tensor:
    """Count the images of each class or tag, or the labelled pixels of each class. -> [C] int64.

    >>> class_counts(Images(torch.zeros(3, 3, 2, 2), torch.tensor([0, 0, 1])), 3)
    tensor([2, 1, 0])
    """
    if isinstance(images, Images):
        return _of_labels(images.labels, classes)
    return torch.stack([*_of_masks(images, classes)]).sum(dim=0)


def images_with_class(images: AnyImages, classes: int) -> Tensor:
    """Count the images with each class or tag, or with any pixel of each class. -> [C] int64.

    >>> images_with_class(Images(torch.zeros(2, 3, 2, 2), torch.tensor([[1, 0], [1, 1]])), 2)
    tensor([2, 1])
    """
    if isinstance(images, Images):
        return _of_labels(images.labels, classes)
    return (torch.stack([*_of_masks(images, classes)]) > 0).sum(dim=0)


def _of_labels(labels: Tensor, classes: int) -> Tensor:
    return (labels == 1).sum(dim=0) if labels.dim() == 2 else torch.bincount(labels, minlength=classes)


def _of_masks(images: AnyImages, classes: int) -> Iterator[Tensor]:
    """Count the pixels of each image's mask. -> [C] each."""
    for block in images.index_blocks(BLOCK):
        for row in block.tolist():
            mask = images[row][1]
            yield torch.bincount(torch.as_tensor(mask)[torch.as_tensor(mask) >= 0].long(), minlength=classes)
