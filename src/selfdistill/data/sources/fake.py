"""Random images whose class can be seen: for trying out, never for numbers."""

import torch
from torch import Generator

from selfdistill.data.images import Images
from selfdistill.data.sources import Pick, Raw
from selfdistill.errors import UserError

DEFAULTS = {"classes": 10, "size": 32, "train": 256, "test": 64}


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Draw images as `fake:classes=10,size=32,train=256,test=64` asks."""
    asked = _options(argument)
    classes, side = tuple(f"class {k}" for k in range(asked["classes"])), size or asked["size"]
    train, test = (_draw(asked[split], len(classes), side, k) for k, split in enumerate(("train", "test")))
    return Raw(train.rows(pick(train.labels, classes)), None, test, classes)


def _options(argument: str) -> dict[str, int]:
    asked = dict(DEFAULTS)
    for part in filter(None, argument.split(",")):
        key, _, value = part.partition("=")
        if key not in DEFAULTS or not value.isdecimal() or int(value) < 1:
            usage = ",".join(f"{known}={default}" for known, default in DEFAULTS.items())
            raise UserError(f"cannot read {part!r} of fake:{argument}; write fake:{usage} or a part of it")
        asked[key] = int(value)
    return asked


def _draw(count: int, classes: int, side: int, seed: int) -> Images:
    """Noise around the tint of each class."""
    labels = torch.arange(count) % classes
    tints = torch.rand(classes, 3, 1, 1, generator=Generator().manual_seed(99)) * 128 + 64
    noise = torch.randn(count, 3, side, side, generator=Generator().manual_seed(seed)) * 40
    return Images((tints[labels] + noise).clamp(0, 255).to(torch.uint8), labels)
