"""Random images with a tint for each class: for tests and demonstrations only."""

import torch
from torch import Generator

from selfdistill.data.images import Images
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError

DEFAULTS = {"classes": 10, "size": 32, "train": 256, "test": 64}


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Draw images for `fake:classes=10,size=32,train=256,test=64`."""
    options = _parse(argument)
    classes, side = tuple(f"class {k}" for k in range(options["classes"])), size or options["size"]
    train, test = (_draw(options[split], len(classes), side, k) for k, split in enumerate(("train", "test")))
    return SourceData(train.rows(pick(train.labels, classes)), None, test, classes)


def _parse(argument: str) -> dict[str, int]:
    options = dict(DEFAULTS)
    for part in filter(None, argument.split(",")):
        key, _, value = part.partition("=")
        if key not in DEFAULTS or not value.isdecimal() or int(value) < 1:
            usage = ",".join(f"{known}={default}" for known, default in DEFAULTS.items())
            raise UserError(f"cannot read {part!r} of fake:{argument}; write fake:{usage} or some of these options")
        options[key] = int(value)
    return options


def _draw(count: int, classes: int, side: int, seed: int) -> Images:
    """Draw Gaussian noise around the tint of each class."""
    labels = torch.arange(count) % classes
    tints = torch.rand(classes, 3, 1, 1, generator=Generator().manual_seed(99)) * 128 + 64
    noise = torch.randn(count, 3, side, side, generator=Generator().manual_seed(seed)) * 40
    return Images((tints[labels] + noise).clamp(0, 255).to(torch.uint8), labels)
