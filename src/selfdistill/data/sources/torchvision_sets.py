"""torchvision's data sets, downloaded to the user's machine once."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.sources import Pick, Raw
from selfdistill.errors import UserError

NAMES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "svhn": "SVHN", "fashion-mnist": "FashionMNIST"}
NO_FLIP = {"svhn"}  # a mirrored digit is another sign


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read one of torchvision's sets, from $SELFDISTILL_DATA or the user's cache."""
    train, test = _download(name, train=True), _download(name, train=False)
    labels = _labels(train)
    chosen = pick(labels)
    classes = tuple(getattr(train, "classes", None) or map(str, range(int(labels.max()) + 1)))
    images = Images(_pixels(train.data, size, chosen), labels[chosen])
    return Raw(images, None, Images(_pixels(test.data, size), _labels(test)), classes, flip=name not in NO_FLIP)


def folder() -> Path:
    """Where downloads go: $SELFDISTILL_DATA, or a folder in the user's cache."""
    return Path(os.environ.get("SELFDISTILL_DATA", "~/.cache/selfdistill/data")).expanduser()


def _download(name: str, train: bool) -> Any:
    from torchvision import datasets

    make = getattr(datasets, NAMES[name])
    split = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
    try:
        return make(str(folder()), download=True, **split)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {name}: {str(error).splitlines()[0]}; put torchvision's files for it into {folder()} "
            "by hand, or set SELFDISTILL_DATA to where they lie"
        ) from None


def _labels(dataset: Any) -> Tensor:
    values = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    return torch.as_tensor(np.asarray(values)).long()


def _pixels(data: Any, size: int | None, rows: Tensor | None = None) -> Tensor:
    """[N, H, W, 3], [N, 3, H, W] or grey [N, H, W] -> [N, 3, S, S] uint8."""
    pixels = torch.as_tensor(np.asarray(data))
    pixels = pixels if rows is None else pixels[rows]
    if pixels.dim() == 3:
        pixels = pixels[:, None].expand(-1, 3, -1, -1)
    elif pixels.shape[-1] == 3:
        pixels = pixels.permute(0, 3, 1, 2)
    if size and size != pixels.shape[-1]:
        pixels = F.interpolate(pixels.float(), (size, size), mode="bilinear", antialias=True).round().clamp(0, 255)
    return pixels.to(torch.uint8).contiguous()
