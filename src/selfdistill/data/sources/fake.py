"""Random images with a tint for each class: for tests and demonstrations only."""

import torch
from torch import Generator

from selfdistill.data.images import Images
from selfdistill.data.sources.options import parse_counts
from selfdistill.data.sources.source_data import PickRows, SourceData

DEFAULTS = {"classes": 10, "size": 32, "train": 256, "test": 64}


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Draw images for `fake:classes=10,size=32,train=256,test=64`."""
    options = parse_counts(argument, DEFAULTS, "fake:")
    classes, side = tuple(f"class {k}" for k in range(options["classes"])), size or options["size"]
    train, test = (_draw(options[split], len(classes), side, k) for k, split in enumerate(("train", "test")))
    return SourceData(train.rows(pick(train.labels, classes)), None, test, classes)


def _draw(count: int, classes: int, side: int, seed: int) -> Images:
    """Draw Gaussian noise around the tint of each class."""
    labels = torch.arange(count) % classes
    tints = torch.rand(classes, 3, 1, 1, generator=Generator().manual_seed(99)) * 128 + 64
    noise = torch.randn(count, 3, side, side, generator=Generator().manual_seed(seed)) * 40
    return Images((tints[labels] + noise).clamp(0, 255).to(torch.uint8), labels)
