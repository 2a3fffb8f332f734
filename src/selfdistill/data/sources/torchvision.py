"""Data sets of torchvision, downloaded once."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.pixels import resize
from selfdistill.data.sources import first_line
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError

if TYPE_CHECKING:  # imported with the first data set
    from torchvision.datasets import VisionDataset

NAMES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "svhn": "SVHN", "fashion-mnist": "FashionMNIST"}
NO_FLIP = {"svhn"}  # a flipped digit is another sign


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Read a data set of torchvision from $SELFDISTILL_DATA or the user's cache."""
    train, test = _download(name, train=True), _download(name, train=False)
    labels = _labels(train)
    classes = tuple(getattr(train, "classes", "0123456789"))  # SVHN names none
    chosen = pick(labels, classes)
    return SourceData(
        Images(resize(_pixels(train.data)[chosen], size), labels[chosen]),
        None,
        Images(resize(_pixels(test.data), size), _labels(test)),
        classes,
        flip=name not in NO_FLIP,
    )


def data_folder() -> Path:
    """Folder of downloads: $SELFDISTILL_DATA, or a folder in the user's cache."""
    return Path(os.environ.get("SELFDISTILL_DATA", "~/.cache/selfdistill/data")).expanduser()


def _download(name: str, train: bool) -> "VisionDataset":
    from torchvision import datasets

    split = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
    try:
        return getattr(datasets, NAMES[name])(str(data_folder()), download=True, **split)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {name}: {first_line(error)}; put torchvision's files for it into "
            f"{str(data_folder())!r} by hand, or set SELFDISTILL_DATA to the folder that holds them"
        ) from None


def _labels(dataset: "VisionDataset") -> Tensor:
    values = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    return torch.as_tensor(np.asarray(values)).long()


def _pixels(data: ArrayLike) -> Tensor:
    """[N, H, W, 3], [N, 3, H, W] or grey [N, H, W] -> [N, 3, H, W] uint8."""
    pixels = torch.as_tensor(np.asarray(data))
    if pixels.dim() == 3:
        return pixels[:, None].repeat(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels).contiguous()
