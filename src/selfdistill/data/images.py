"""Images as the library holds them: decoded once, uint8, ready to be indexed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfdistill.errors import UserError


@dataclass(frozen=True)
class Images:
    """Decoded images with their labels; a data set of (image, label)."""

    images: Tensor  # [N, 3, H, W] uint8
    labels: Tensor  # [N] class ids

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.images[row], int(self.labels[row])

    def rows(self, index: Tensor) -> "Images":
        """Those rows only, in that order. index [M]."""
        return Images(self.images[index], self.labels[index])

    @property
    def size(self) -> int:
        """Pixels of a side; images are square."""
        return self.images.shape[-1]


@dataclass(frozen=True)
class Splits:
    """A data set: what to train on, what to choose by, what to report."""

    train: Images
    validation: Images | None
    test: Images
    classes: tuple[str, ...]
    name: str
    flip: bool = True  # whether a mirrored image keeps its class

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel over the training images, from 0 to 1."""
        return tuple((_over_channels(self.train.images, 1) / 255).tolist())

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel over the training images, from 0 to 1."""
        mean, square = _over_channels(self.train.images, 1), _over_channels(self.train.images, 2)
        return tuple(max(float((s - m * m) ** 0.5) / 255, 1e-3) for m, s in zip(mean, square, strict=True))


def _over_channels(images: Tensor, power: int) -> Tensor:
    """Mean of value^power by channel, exactly: from counts of the 256 values."""
    values = torch.arange(256, dtype=torch.float64) ** power
    counts = torch.stack([torch.bincount(images[:, c].flatten().int(), minlength=256) for c in range(3)])
    return (counts.double() @ values) / counts.sum(dim=1)


def checked(images: Images, classes: Sequence[str], where: str) -> Images:
    """The images, if every label is a class; raises `UserError` naming the first row whose is not."""
    wrong = ((images.labels < 0) | (images.labels >= len(classes))).nonzero().flatten()
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"row {row} of {where} has the label {int(images.labels[row])}, but there are {len(classes)} classes, "
            f"0 to {len(classes) - 1}; mend the label or the class names"
        )
    return images


def require_classes(labels: Tensor, classes: Sequence[str], where: str) -> None:
    """Raise `UserError` for a single class, or a class without a training image."""
    if len(classes) < 2:
        raise UserError(f"{where} has {len(classes)} class; a classifier needs two at least")
    counts = torch.bincount(labels.clamp(0, len(classes) - 1), minlength=len(classes))
    if len(empty := (counts == 0).nonzero().flatten()):
        names = ", ".join(classes[int(k)] for k in empty[:3])
        raise UserError(
            f"{len(empty)} of {len(classes)} classes in {where} have no training image ({names}); "
            "add images or take the class away"
        )
