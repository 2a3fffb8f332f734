"""Creation of a network by its name."""

from difflib import get_close_matches
from pathlib import Path

from torch import nn

from selfdistill.errors import UserError
from selfdistill.models import registry
from selfdistill.models.library import LIBRARIES, from_library
from selfdistill.models.weights import fit, read


def create(
    name: str, classes: int, *, size: int = 32, pretrained: bool = False, weights: str | Path | None = None
) -> nn.Module:
    """Create a network from images [B, 3, size, size] to logits [B, classes].

    `name` is one of `names()`, any "wrn-DEPTH-WIDTH", "timm/NAME" or "torchvision/NAME". `pretrained` loads the
    library's weights, `weights` those of a file (safetensors, or a state dict or checkpoint of torch); a classifier
    with another number of classes stays newly initialized. Initialization uses torch's global generator. Raises
    `UserError` for an unknown name, an unsupported size, unavailable weights, and a damaged or mismatched file.

    >>> import torch
    >>> create("resnet20", classes=100)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 100])
    """
    _require_valid(name, classes, size, pretrained, weights)
    state = None if weights is None else read(Path(weights))
    network = _build(name, classes, size, pretrained)
    if state is not None:
        fit(network, state, classes, source=str(weights))
    return network


def _require_valid(name: str, classes: int, size: int, pretrained: bool, weights: str | Path | None) -> None:
    if classes < 2:
        raise UserError(f"a classifier needs 2 classes or more, not {classes}")
    if size < 1:
        raise UserError(f"images need a side of 1 pixel or more, not {size}")
    if pretrained and weights is not None:
        raise UserError(f"{name}: pass pretrained or weights, not both")


def _build(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    family, _, rest = name.partition("/")
    if rest and family in LIBRARIES:
        return from_library(family, rest, classes, size, pretrained)
    return _from_registry(name, classes, size, pretrained)


def _from_registry(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    entry = registry.find(name)
    if entry is None:
        raise UserError(_unknown_name(name))
    if pretrained:
        raise UserError(f"there are no pretrained weights of {name}; pass weights=FILE, or a timm/NAME")
    if size < entry.reduction:
        smallest = f"{entry.reduction}x{entry.reduction}"
        raise UserError(f"images of {size}x{size} pixels are too small for {name}; the smallest are {smallest}")
    return entry.build(classes=classes)


def _unknown_name(name: str) -> str:
    known = registry.names()
    near = get_close_matches(name, known, n=3)
    nearest = f" (nearest: {', '.join(near)})" if near else ""
    return (
        f"there is no model {name!r}{nearest}; there are {', '.join(known)}, "
        "wrn-DEPTH-WIDTH of depth 6n + 4, timm/NAME and torchvision/NAME"
    )
