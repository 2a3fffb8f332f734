"""Creation of a network by its name."""

from difflib import get_close_matches
from pathlib import Path

from torch import nn

from selfdistill.errors import UserError
from selfdistill.models import registry
from selfdistill.models.library import LIBRARIES, from_library
from selfdistill.models.own_model import from_module, is_own
from selfdistill.models.stem import RGB, find_stem, set_channels, stored_channels
from selfdistill.models.weights import fit, read
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TASKS, TaskName

THREE = ("transformers/", "torchvision/googlenet", "torchvision/inception_v3")  # these read or mix three channels


def create(
    name: str,
    classes: int,
    *,
    size: int = 32,
    pretrained: bool = False,
    weights: str | Path | None = None,
    task: TaskName = CLASSIFY,
    channels: int = RGB,
) -> nn.Module:
    """Create a network from images [B, channels, size, size] to logits [B, classes], or [B, classes, h, w] of pixels.

    `name` is one of `names(task)`, any "wrn-DEPTH-WIDTH", "timm/NAME", "torchvision/NAME", or
    MODULE:CALLABLE of your own, which is called with the number of classes. For the task "segment" it
    may be any "unet-WIDTH" and "transformers/segformer-b0" … "-b5" too; classifiers of this package and of timm get a
    small decoder. `pretrained` loads the library's weights, `weights` those of a file (safetensors, or a state dict or
    checkpoint of torch); a classifier with another number of classes stays newly initialized. Of other `channels` than
    three, trained weights of the first convolution are folded, as timm does. Initialization uses torch's global
    generator. Raises `UserError` for a name that is unknown or for another task, an unsupported size,
    unavailable weights, and a damaged or mismatched file.

    >>> import torch
    >>> create("resnet20", classes=100)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 100])
    >>> create("unet", classes=8, task="segment")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 8, 32, 32])
    """
    _require_valid(name, classes, size, pretrained, weights, task)
    _require_channels(name, channels)
    state = None if weights is None else read(Path(weights))
    network = _build(name, classes, size, pretrained, SEGMENT if task == SEGMENT else CLASSIFY)
    stem = None if channels == RGB or is_own(name) else find_stem(network, name)
    if stem and (state is None or stored_channels(state, stem.path) == channels):
        set_channels(stem.convolution, channels, trained=pretrained)
    if state is not None:
        fit(network, state, classes, source=str(weights))
    if stem and stem.convolution.in_channels != channels:
        set_channels(stem.convolution, channels, trained=True)
    return network


def _require_valid(name: str, classes: int, size: int, pretrained: bool, weights: str | Path | None, task: str) -> None:
    if task not in TASKS:
        raise UserError(f"there is no task {task!r}; there are {', '.join(TASKS)}")
    if classes < 2 and task != TAG:
        raise UserError(f"a classifier needs 2 classes or more, not {classes}")
    if classes < 1:
        raise UserError(f"a network needs 1 tag or more, not {classes}")
    if size < 1:
        raise UserError(f"images need a side of 1 pixel or more, not {size}")
    if pretrained and weights is not None:
        raise UserError(f"{name}: pass pretrained or weights, not both")


def _require_channels(name: str, channels: int) -> None:
    """Raise `UserError` for a number of channels below one, and for networks that read exactly three."""
    if channels < 1:
        raise UserError(f"images need 1 channel or more, not {channels}")
    if channels != RGB and name.startswith(THREE):
        raise UserError(
            f"{name} reads images of three channels, not {channels}; use a network of this package or timm's"
        )


def _build(name: str, classes: int, size: int, pretrained: bool, task: str) -> nn.Module:
    if is_own(name):
        return _own(name, classes, pretrained)
    family, _, rest = name.partition("/")
    if rest and family in LIBRARIES:
        return from_library(family, rest, classes, size, pretrained, task)
    return _from_registry(name, classes, size, pretrained, task)


def _own(name: str, classes: int, pretrained: bool) -> nn.Module:
    if pretrained:
        raise UserError(f"there are no pretrained weights of {name}; load them in the callable, or pass weights=FILE")
    return from_module(name, classes)


def _from_registry(name: str, classes: int, size: int, pretrained: bool, task: str) -> nn.Module:
    entry = registry.find(name, task)
    if entry is None:
        raise UserError(_unknown_name(name, task))
    if pretrained:
        raise UserError(f"there are no pretrained weights of {name}; pass weights=FILE, or a timm/NAME")
    if size < entry.reduction:
        smallest = f"{entry.reduction}x{entry.reduction}"
        raise UserError(f"images of {size}x{size} pixels are too small for {name}; the smallest are {smallest}")
    return entry.build(classes=classes)


def _unknown_name(name: str, task: str) -> str:
    if task == CLASSIFY and registry.find_unet(name):
        return f"{name} is a segmentation network; pass task={SEGMENT!r}, or name a classifier such as resnet20"
    known = registry.names(task)
    near = get_close_matches(name, known, n=3)
    nearest = f" (nearest: {', '.join(near)})" if near else ""
    families = ["unet-WIDTH", "transformers/NAME"] if task == SEGMENT else []
    patterns = ["wrn-DEPTH-WIDTH of depth 6n + 4", *families, "timm/NAME"]
    return f"there is no model {name!r}{nearest}; there are {', '.join([*known, *patterns])} and torchvision/NAME"
