"""Registry of the networks in this package."""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from selfdistill.models.decoder import with_decoder
from selfdistill.models.mobilenetv2 import mobilenetv2
from selfdistill.models.preact import preact_resnet18, wide_resnet
from selfdistill.models.resnet import basic, bottleneck, cifar_resnet, imagenet_resnet
from selfdistill.models.shufflenetv2 import shufflenetv2
from selfdistill.models.unet import unet
from selfdistill.models.vgg import vgg
from selfdistill.task import CLASSIFY, SEGMENT


class ModelEntry(NamedTuple):
    """Constructor, called with `classes`, and the total stride, the smallest image side."""

    build: Callable[..., nn.Module]
    reduction: int


FOURFOLD = (32, 64, 128, 256)
NARROW, EXPANDED = (64, 128, 256, 512), (256, 512, 1024, 2048)
WIDE = re.compile(r"wrn-(\d+)-(\d+)")
DEEPEST, WIDEST = 1000, 100  # of a wide network: greater ones fill any memory
MOST_CHANNELS = 1024  # of a U-Net at its finest resolution, likewise
UNET = re.compile(r"unet-(\d+)")
WIDES = ((16, 1), (16, 2), (16, 4), (28, 10), (40, 1), (40, 2))

NETWORKS = {
    **{f"resnet{depth}": ModelEntry(partial(cifar_resnet, depth), 4) for depth in (8, 14, 20, 32, 44, 56, 110)},
    **{f"resnet{depth}x4": ModelEntry(partial(cifar_resnet, depth, widths=FOURFOLD), 4) for depth in (8, 32)},
    "resnet18": ModelEntry(partial(imagenet_resnet, basic, NARROW, (2, 2, 2, 2)), 8),
    "resnet34": ModelEntry(partial(imagenet_resnet, basic, NARROW, (3, 4, 6, 3)), 8),
    "resnet50": ModelEntry(partial(imagenet_resnet, bottleneck, EXPANDED, (3, 4, 6, 3)), 8),
    "preact_resnet18": ModelEntry(preact_resnet18, 8),
    **{f"wrn-{depth}-{width}": ModelEntry(partial(wide_resnet, depth, width), 4) for depth, width in WIDES},
    "vgg8": ModelEntry(partial(vgg, 1), 8),
    "vgg13": ModelEntry(partial(vgg, 2), 8),
    "mobilenetv2": ModelEntry(mobilenetv2, 16),
    "shufflenetv2": ModelEntry(shufflenetv2, 8),
}
UNETS = {"unet": ModelEntry(partial(unet, 32), 8), "unet-16": ModelEntry(partial(unet, 16), 8)}


def names(task: str = CLASSIFY) -> list[str]:
    """List the registered names; any other wrn-DEPTH-WIDTH of depth 6n + 4 exists too.

    For the task "segment" these are the U-Nets (any other unet-WIDTH exists too) and the classifiers, with a decoder.
    """
    return [*UNETS, *NETWORKS] if task == SEGMENT else list(NETWORKS)


def find(name: str, task: str = CLASSIFY) -> ModelEntry | None:
    """Find a registered network for a task; None if the name is unknown."""
    if task == SEGMENT and (found := find_unet(name)):
        return found
    entry = _find_wide(name) if WIDE.fullmatch(name) else NETWORKS.get(name)
    return entry and entry._replace(build=partial(with_decoder, entry.build)) if task == SEGMENT else entry


def find_unet(name: str) -> ModelEntry | None:
    """Find a U-Net; None for another name."""
    if found := UNET.fullmatch(name):
        width = int(found[1]) if len(found[1]) < 6 else 0
        return ModelEntry(partial(unet, width), 8) if 0 < width <= MOST_CHANNELS else None
    return UNETS.get(name)


def _find_wide(name: str) -> ModelEntry | None:
    """Find a wide network by its depth and width; None where there is no such network."""
    depth, width = (int(each) if len(each) < 6 else 0 for each in name.split("-")[1:])
    exists = depth % 6 == 4 and 4 < depth <= DEEPEST and 0 < width <= WIDEST
    return ModelEntry(partial(wide_resnet, depth, width), 4) if exists else None
