"""Data sets of torchvision, downloaded once."""

import os
from collections.abc import Sequence
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
    classes = tuple(getattr(train, "classes", "0123456789"))  # SVHN has no names
    _require_labels(name, train, classes)
    _require_labels(name, test, classes)
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

    kind = getattr(datasets, NAMES[name])
    split = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
    try:
        return kind(str(data_folder()), download=True, **split)
    except Exception as error:  # of the network, an archive, a pickle or a matrix file
        raise UserError(_reason(name, kind, error)) from None


def _reason(name: str, kind: "type[VisionDataset]", error: Exception) -> str:
    """Message on damaged files that are there, or on a failed download."""
    from torchvision.datasets.utils import check_integrity

    folder, files = data_folder(), _checksums(kind)
    there = [file for file in files if (folder / file).is_file()]
    if damaged := [file for file in there if not check_integrity(folder / file, files[file])]:
        return (
            f"{', '.join(damaged)} in {str(folder)!r} {'is' if len(damaged) == 1 else 'are'} damaged (not the checksum "
            f"of {name}), and fetching again failed: {first_line(error)}; put whole files there by hand"
        )
    if (there and not isinstance(error, OSError | RuntimeError)) or len(there) == len(files) > 0:
        return (
            f"the files of {name} in {str(folder)!r} cannot be read: {type(error).__name__}: {first_line(error)}; "
            "remove them, so that they are fetched again"
        )
    return (
        f"cannot download {name}: {first_line(error)}; put torchvision's files for it into "
        f"{str(folder)!r} by hand, or set SELFDISTILL_DATA to the folder that holds them"
    )


def _checksums(kind: "type[VisionDataset]") -> dict[str, str | None]:
    """MD5 sums of a data set's unpacked files, as torchvision lists them; None for files without one."""
    cifar = [*getattr(kind, "train_list", ()), *getattr(kind, "test_list", ())]
    if meta := getattr(kind, "meta", None):
        cifar.append((meta["filename"], meta["md5"]))
    svhn = {file: md5 for _, file, md5 in getattr(kind, "split_list", {}).values()}
    mnist = {f"{kind.__name__}/raw/{Path(file).stem}": None for file, _ in getattr(kind, "resources", ())}
    return {f"{getattr(kind, 'base_folder', '')}/{file}": md5 for file, md5 in cifar} | svhn | mnist


def _labels(dataset: "VisionDataset") -> Tensor:
    values = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    return torch.as_tensor(np.asarray(values)).long()


def _require_labels(name: str, dataset: "VisionDataset", classes: Sequence[str]) -> None:
    """Raise `UserError` unless each image has the label of a class."""
    labels = _labels(dataset)
    if len(labels) != len(dataset.data) or not ((labels >= 0) & (labels < len(classes))).all():
        raise UserError(
            f"the files of {name} in {str(data_folder())!r} hold {len(dataset.data)} images, {len(labels)} labels "
            f"up to {max(labels.tolist(), default=None)} and {len(classes)} classes, which do not belong together; "
            "remove them, so that they are fetched again"
        )


def _pixels(data: ArrayLike) -> Tensor:
    """[N, H, W, 3], [N, 3, H, W] or grey [N, H, W] -> [N, 3, H, W] uint8."""
    pixels = torch.as_tensor(np.asarray(data))
    if pixels.dim() == 3:
        return pixels[:, None].repeat(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels).contiguous()
