"""torchvision's data sets, downloaded to the user's machine once."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.pixels import resized
from selfdistill.data.sources import Pick, Raw, first_line
from selfdistill.errors import UserError

NAMES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "svhn": "SVHN", "fashion-mnist": "FashionMNIST"}
NO_FLIP = {"svhn"}  # a mirrored digit is another sign


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read one of torchvision's sets, from $SELFDISTILL_DATA or the user's cache."""
    train, test = _download(name, train=True), _download(name, train=False)
    labels = _labels(train)
    classes = tuple(getattr(train, "classes", "0123456789"))  # SVHN names none
    chosen = pick(labels, classes)
    return Raw(
        Images(resized(_pixels(train.data)[chosen], size), labels[chosen]),
        None,
        Images(resized(_pixels(test.data), size), _labels(test)),
        classes,
        flip=name not in NO_FLIP,
    )


def folder() -> Path:
    """Where downloads go: $SELFDISTILL_DATA, or a folder in the user's cache."""
    return Path(os.environ.get("SELFDISTILL_DATA", "~/.cache/selfdistill/data")).expanduser()


def _download(name: str, train: bool) -> Any:
    from torchvision import datasets

    split = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
    try:
        return getattr(datasets, NAMES[name])(str(folder()), download=True, **split)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {name}: {first_line(error)}; put torchvision's files of it into "
            f"{str(folder())!r} by hand, or set SELFDISTILL_DATA to the folder that holds them"
        ) from None


def _labels(dataset: Any) -> Tensor:
    values = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    return torch.as_tensor(np.asarray(values)).long()


def _pixels(data: Any) -> Tensor:
    """[N, H, W, 3], [N, 3, H, W] or grey [N, H, W] -> [N, 3, H, W] uint8."""
    pixels = torch.as_tensor(np.asarray(data))
    if pixels.dim() == 3:
        return pixels[:, None].repeat(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels).contiguous()
